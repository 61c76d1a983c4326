#!/usr/bin/env bash
# Runs schemathesis (requests drawn from /openapi.json, right ones and wrong ones) against `sumbi serve`.
#
#   scripts/schemathesis/run.sh [MODEL] [OPTIONS]     e.g.  scripts/schemathesis/run.sh models/nano --max-examples 50
#
# Needs: pip install schemathesis (SCHEMATHESIS=path of `st`), npm run build:lib. OPTIONS go to `st run`.
# Left out: positive_data_acceptance, since what fits a schema may still not fit the model (its context, its vocabulary, its tools).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
model=$(cd "${1:-$root/models/nano}" && pwd)
shift || true
st=${SCHEMATHESIS:-st}
out=$(mktemp -d)

node "$root/bin/sumbi.js" serve "$model" --port 0 --json > "$out/address.json" &
server=$!
trap 'kill -INT $server 2>/dev/null; wait $server 2>/dev/null || true; rm -rf "$out"' EXIT
until [ -s "$out/address.json" ]; do kill -0 $server; sleep 0.2; done
url=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).url' "$out/address.json")

cd "$out"
# lists over their bounds may be over those of a body too
cat > schemathesis.toml <<'TOML'
[checks.negative_data_rejection]
expected-statuses = ["400", "404", "405", "413", "415"]
TOML
"$st" run "$url/openapi.json" --checks all --exclude-checks positive_data_acceptance --continue-on-failure \
  --request-timeout 60 --seed 1 "$@"
