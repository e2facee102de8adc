"""JAX: batches of one shape, masked in a compiled function, no torch in the process.

python examples/jax_loop.py SHARDS
"""

from __future__ import annotations

import sys
from functools import partial

import jax
import jax.numpy as jnp
import premask

Parameters = dict[str, jax.Array]


def loss_of(parameters: Parameters, batch: dict[str, jax.Array]) -> jax.Array:
    """A bag of neighbours: each position is predicted from the mean of its row and itself."""
    hidden = parameters["tokens"][batch["input_ids"]]
    seen = batch["attention_mask"][..., None]
    context = (hidden * seen).sum(1, keepdims=True) / seen.sum(1, keepdims=True)
    scores = jax.nn.log_softmax((hidden + context) @ parameters["head"])
    chosen = batch["labels"] >= 0
    labels = jnp.where(chosen, batch["labels"], 0)  # -100 is no index
    found = jnp.take_along_axis(scores, labels[..., None], -1)[..., 0]
    return -(found * chosen).sum() / chosen.sum()


@partial(jax.jit, donate_argnums=0)
def step(parameters: Parameters, batch: dict[str, jax.Array]) -> tuple[Parameters, jax.Array]:
    loss, slopes = jax.value_and_grad(loss_of)(parameters, batch)
    return jax.tree.map(lambda p, g: p - 0.5 * g, parameters, slopes), loss


def main(path: str) -> None:
    shards = premask.open_shards(path)
    loader = premask.Loader(shards, policy="random", batch_size=8, backend="jax", pad_to="max")
    keys = jax.random.split(jax.random.key(0))
    size = shards.vocabulary.size
    parameters = {
        "tokens": jax.random.normal(keys[0], (size, 32)) * 0.1,
        "head": jax.random.normal(keys[1], (32, size)) * 0.1,
    }
    for epoch in range(2):
        for batch in loader:
            parameters, loss = step(parameters, batch)
        print(f"epoch {epoch}: loss {float(loss):.3f}")
    print(f"torch loaded: {'torch' in sys.modules}")


if __name__ == "__main__":
    main(sys.argv[1])
