"""A masked language model small enough to train on a CPU in seconds; shared by the examples."""

from __future__ import annotations

import torch
from torch import nn


class TinyModel(nn.Module):
    """Embeddings, one encoder layer, and a loss over the labels that are not -100."""

    def __init__(self, vocabulary_size: int, width: int = 64, longest: int = 512) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary_size, width)
        self.places = nn.Embedding(longest, width)
        self.encoder = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
        self.head = nn.Linear(width, vocabulary_size)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        place = torch.arange(input_ids.shape[1], device=input_ids.device)
        hidden = self.tokens(input_ids) + self.places(place)
        hidden = self.encoder(hidden, src_key_padding_mask=attention_mask == 0)
        return nn.functional.cross_entropy(self.head(hidden).flatten(0, 1), labels.flatten())
