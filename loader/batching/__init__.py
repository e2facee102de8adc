"""From rows to batches: which rows, in which shape, on which device, and how far ahead."""
