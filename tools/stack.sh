#!/usr/bin/env bash
# tools/stack.sh up|down STACK: one Pulumi stack up or down, without a question. Source tools/activate.sh first.
set -euo pipefail
action=$1 stack=$2
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exists() { pulumi stack ls --json --project rag-platform 2>/dev/null | grep -q "\"name\": \"\(organization/rag-platform/\)\?$stack\""; }

case $action in
  up)
    # A local state's stack is made from the copy of the project that holds its salt (see tools/activate.sh).
    exists || pulumi -C .pulumi-state/project stack init "$stack" --non-interactive
    pulumi up --stack "$stack" --yes --skip-preview --non-interactive --suppress-permalink
    ;;
  down)
    exists || { echo "no stack $stack: nothing to do"; exit 0; }
    pulumi destroy --stack "$stack" --yes --skip-preview --non-interactive --suppress-permalink
    pulumi stack rm "$stack" --yes --preserve-config
    rm -f ".pulumi-state/project/Pulumi.$stack.yaml"
    ;;
  *)
    echo "usage: tools/stack.sh up|down STACK" >&2
    exit 2
    ;;
esac
