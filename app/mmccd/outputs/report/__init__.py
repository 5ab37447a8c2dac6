"""What people look at: picture and report."""
