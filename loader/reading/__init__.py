"""From the files of a shard set to rows: opened, checked against the manifest, and gathered."""
