"""What users ask of the model."""
