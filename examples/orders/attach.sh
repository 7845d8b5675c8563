#!/usr/bin/env bash
# attach.sh [attach|receipts]: the steps of README.md in one go, from an API without Signet to its receipts in a pack.
#
#   attach    deploys the API as it is, attaches it, calls it from four languages; says how long that took
#   receipts  closes the day, fetches its pack, checks it, and says which API and route its receipts are of
#
# Without a word it does both. It ends with another code than 0 where a step fails or a limit is missed.
# Signet runs, SIGNET_STACK is the name of its stack; signet, sam and python are on PATH. Keys and pack go into
# the folder that it is started in.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
keys=$PWD
most_minutes=10
most_lines=15

fail() {
  echo "attach.sh: $1" >&2
  exit 1
}

deploy() { # TEMPLATE [PARAMETER]
  sam deploy --template-file "$here/$1" --stack-name orders --resolve-s3 --capabilities CAPABILITY_IAM \
    --no-progressbar --no-fail-on-empty-changeset ${2:+--parameter-overrides "$2"} >deploy.log 2>&1 ||
    fail "sam deploy failed: $(tail -n 5 deploy.log)"
  url=$(python "$here/address.py" orders)
  id=$(python "$here/address.py" orders id)
}

register() {
  signet apis add orders --api-id "$id" --stage v1 --authority "$(python "$here/address.py" orders authority)" >/dev/null
  registered=$id
}

key() { # NAME ROLE [KEYID]: makes a key and registers it, unless it is there
  if [ ! -f "$1.pem" ]; then
    signet keygen --alg ed25519 -o "$1.pem" >/dev/null
    signet clients add --key "$1.pem.pub" --role "$2" ${3:+--keyid "$3"} >/dev/null
  fi
}

member() { # NAME: of the JSON that it reads
  python -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

status() {
  curl --silent --output /dev/null --write-out '%{http_code}' "$1"
}

call() { # LANGUAGE PROGRAM…
  if ! command -v "$2" >/dev/null; then
    echo "called from $1: SKIPPED ($2 is not installed)"
    return
  fi
  answer=$(cd "$here/callers" && "${@:2}" GET "$url/1001" --key "$keys/reader.pem" --keyid orders-reader --challenge-url "$challenges") ||
    fail "the call from $1 failed"
  [[ $answer == "200 "* ]] || fail "the call from $1 was answered: $answer"
  echo "called from $1: 200"
}

attach() {
  if signet apis list --json | grep -q '"name": *"orders"'; then
    signet apis remove orders >/dev/null
  fi
  deploy template.yaml
  [ "$(status "$url")" = 200 ] || fail "the API does not answer before it is attached"
  echo "before: every caller is answered"

  started=$SECONDS
  key reader caller orders-reader
  key writer caller orders-writer
  register
  within=$(signet policy push "$here/policy" --json | member effective_within_s)
  deploy attached.yaml "SignetStack=$SIGNET_STACK"
  if [ "$id" != "$registered" ]; then # the embedded stack makes the API anew where AWS changes it
    signet apis remove orders >/dev/null
    register
  fi
  sleep $((within + 1))
  case $(status "$url") in
    401 | 403) echo "attached: a call without a proof is refused" ;;
    *) fail "a call without a proof was not refused" ;;
  esac
  challenges=$(python "$here/deployed.py" "$SIGNET_STACK" challenges)
  call Python python call.py
  call Node.js node call.mjs
  call Go go run call.go
  call Java java Call.java
  took=$((SECONDS - started))

  lines=$({ diff "$here/template.yaml" "$here/attached.yaml" || true; } | grep -c '^[<>]')
  echo "minutes to attach it and call it: $((took / 60)).$((took % 60 / 6)) (at most $most_minutes)"
  echo "changed lines of SAM: $lines (at most $most_lines)"
  [ "$took" -le $((most_minutes * 60)) ] || fail "it took too long"
  [ "$lines" -le "$most_lines" ] || fail "too many lines change"
}

receipts() {
  key auditor auditor
  python "$here/deployed.py" "$SIGNET_STACK" settled
  day=$(date -u +%F)
  signet close --date "$day" >/dev/null
  signet pack --date "$day" -o "orders-$day.zip" --key auditor.pem >/dev/null
  signet verify "orders-$day.zip" --log-id "$(signet keys list --json | member log_id)" >verdict.txt ||
    fail "the pack is not good: $(cat verdict.txt)"
  echo "the pack of $day is good; of the API orders it says:"
  python - "orders-$day.zip" <<'PYTHON'
import collections, json, sys, zipfile

lines = zipfile.ZipFile(sys.argv[1]).read("receipts.jsonl").splitlines()
decisions = [r for r in map(json.loads, lines) if r["type"] == "pch.decision" and r["v"] > 1]
found = collections.Counter((r["route"], r["reason"]) for r in decisions if r["api"]["name"] == "orders")
for (route, reason), number in sorted(found.items()):
    print(f"  {route}  {reason}: {number}")
sys.exit(0 if found["GET /orders/{id}", "ok"] else "attach.sh: no receipt says so")
PYTHON
}

case ${1:-both} in
  attach) attach ;;
  receipts) receipts ;;
  both)
    attach
    receipts
    ;;
  *) fail "say attach, receipts, or nothing for both" ;;
esac
