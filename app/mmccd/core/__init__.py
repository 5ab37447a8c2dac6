"""What every room stands on: errors, volumes, results, settings, console."""
