"""Datasets on object storage: objects under an s3:// address, and local copies of datasets."""
