#!/usr/bin/env bash
# tools/stack.sh up|down STACK: one Pulumi stack up or down, without a question.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/activate.sh # its function `pulumi` does not reach a child process, so it is sourced here again
action=${1:-} stack=${2:-local}

# Whether the stack is there. What keeps pulumi from telling (backend, login) ends the script: it is no "no".
exists() {
  local said
  said=$(pulumi stack --stack "$stack" --show-name --non-interactive 2>&1) && return
  case $said in *"no stack named"*) return 1 ;; esac
  printf '%s\n' "$said" "tools/stack.sh: can't tell whether there is a stack $stack; check \`pulumi whoami -v\`" >&2
  exit 3
}

case $action in
  up)
    exists || pulumi stack init "$stack" --no-select --non-interactive
    pulumi up --stack "$stack" --yes --skip-preview --non-interactive --suppress-permalink
    ;;
  down)
    exists || { echo "no stack $stack: nothing to do"; exit 0; }
    pulumi destroy --stack "$stack" --yes --skip-preview --non-interactive --suppress-permalink
    pulumi stack rm "$stack" --yes --preserve-config --non-interactive
    # The state of this machine alone, and only when no stack is left in it.
    if [ "$PULUMI_BACKEND_URL" = "file://$PWD/.pulumi-state" ] && [ "$(pulumi stack ls --all --json)" = "[]" ]; then
      rm -rf .pulumi-state
    fi
    ;;
  *)
    echo "usage: tools/stack.sh up|down STACK" >&2
    exit 2
    ;;
esac
