#!/usr/bin/env bash
# Runs lm-evaluation-harness, as it is, against `sumbi serve`.
#
#   scripts/lm-eval/run.sh MODEL [TASKS]          e.g.  scripts/lm-eval/run.sh models/nano arc_easy,hellaswag
#   COMPARE=1 scripts/lm-eval/run.sh MODEL        also runs transformers on the folder and compares every sample
#
# Needs: pip install "lm-eval[api]" (and transformers + torch for COMPARE, or for its tokenizer), npm run build:lib.
# Without TASKS it runs the two small tasks beside this script: one of likelihoods, one of generation; they need no network.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
model=$(cd "${1:?usage: run.sh MODEL [TASKS]}" && pwd)
tasks=${2:-sumbi_choice,sumbi_copy}
lm_eval=${LM_EVAL:-lm_eval}
out=$(mktemp -d)

node "$root/bin/sumbi.js" serve "$model" --port 0 --json > "$out/address.json" &
server=$!
trap 'kill -INT $server 2>/dev/null; wait $server 2>/dev/null || true; rm -rf "$out"' EXIT
until [ -s "$out/address.json" ]; do kill -0 $server; sleep 0.2; done
read -r url name context < <(node -e '
  const { url, model } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
  fetch(`${url}/api/model`).then((r) => r.json()).then((m) => console.log(url, model, m.contextTokens));
' "$out/address.json")

cd "$here"
"$lm_eval" run --model local-completions \
  --model_args "model=$name,base_url=$url/v1/completions,tokenizer=$model,max_length=$context,num_concurrent=4" \
  --include_path "$here" --tasks "$tasks" --log_samples --output_path "$out/served"
if [ -n "${COMPARE:-}" ]; then
  "$lm_eval" run --model hf --model_args "pretrained=$model,dtype=float32,max_length=$context" \
    --include_path "$here" --tasks "$tasks" --log_samples --output_path "$out/transformers"
  node "$here/compare.mjs" "$out/served" "$out/transformers"
fi
