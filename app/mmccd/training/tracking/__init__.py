"""What a run tells TensorBoard and MLflow: figures and pictures, on the same steps."""
