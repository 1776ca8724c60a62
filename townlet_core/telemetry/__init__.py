"""What a training run tells: the log's fields, its writer and reader, validate, watch and summary."""
