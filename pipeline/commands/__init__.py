"""The commands of `premask`, one module each; what is slow to import is imported when run."""
