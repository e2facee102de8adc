#!/bin/sh
# From raw text to an audited shard set, with the sample corpus. Run by `make demo`.
set -eu

out=${1:-out/demo}
rm -rf "$out"
mkdir -p "$out"

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

say premask train-tokenizer --input samples/wiki --input samples/books --input samples/news \
    --model wordpiece --vocab-size 6000 --out "$out/tokenizer.json"
say premask build --input samples/wiki --input samples/books --input samples/news \
    --tokenizer "$out/tokenizer.json" --out "$out/shards" \
    --set rows.max_length=128 --set annotate.pipeline=premask/en
say premask verify "$out/shards"
say premask info "$out/shards"
say premask show "$out/shards" --policy whole_word --row 0
say premask show "$out/shards" --policy entity --row 0
say premask audit "$out/shards" --policy whole_word --epochs 5 --out "$out/audit"

printf '\nShards: %s/shards\nThe audit as a page: %s/audit/audit.html\n' "$out" "$out"
