"""Plans jobs, runs their units on an engine, and publishes shard sets; the command line."""
