#!/bin/sh
# From raw text to an audited shard set, with the sample corpus. Run by `make demo`.
set -eu

out=${1:-out/demo}
rm -rf "$out"
mkdir -p "$out"

step() { printf '\n$ %s\n' "$*"; "$@"; }

step premask train-tokenizer --input samples/wiki --input samples/books --input samples/news \
    --vocab-size 5000 --out "$out/tokenizer.json" --quiet
step premask build --input samples/wiki --input samples/books --input samples/news \
    --tokenizer "$out/tokenizer.json" --out "$out/shards" --max-length 128 \
    --set annotate.pipeline=premask/en
step premask verify "$out/shards"
step premask info "$out/shards"
step premask show "$out/shards" --policy whole_word --row 3
step premask show "$out/shards" --policy salient --row 3
step premask audit "$out/shards" --policy whole_word --policy entity --out "$out/comparison" --quiet
step premask audit "$out/shards" --policy entity --out "$out/audit" --quiet

printf '\nThe audit, to open in a browser: %s/audit/audit.html\n' "$out"
