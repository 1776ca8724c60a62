"""From live towns to frames, and from frames to replay samples."""
