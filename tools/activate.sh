# Source this to use `pulumi` on this machine: the project's tools, its Python, and a state of its own.
#
#     . tools/activate.sh
#
# The state lies under .pulumi-state, encrypted with a passphrase that is made on first use. Set PULUMI_BACKEND_URL
# before, to keep your own backend; then the passphrase is your business too.

if [ -n "${BASH_VERSION:-}" ]; then
    _rag_file="${BASH_SOURCE}"
elif [ -n "${ZSH_VERSION:-}" ]; then
    eval '_rag_file="${(%):-%x}"'
else
    _rag_file="tools/activate.sh" # a plain sh does not say which file it reads: source it from the project's folder
fi
_rag_root="$(cd "$(dirname "$_rag_file")/.." && pwd)"

export VIRTUAL_ENV="$_rag_root/.venv"
export PATH="$_rag_root/.venv/bin:$_rag_root/.tools/bin:$PATH" # .tools is empty where the machine has a CLI
export PULUMI_SKIP_UPDATE_CHECK=true

if [ -z "${PULUMI_BACKEND_URL:-}" ]; then
    mkdir -p "$_rag_root/.pulumi-state/project"
    if [ ! -s "$_rag_root/.pulumi-state/passphrase" ]; then
        (umask 077 && head -c 32 /dev/urandom | base64 >"$_rag_root/.pulumi-state/passphrase")
    fi
    export PULUMI_BACKEND_URL="file://$_rag_root/.pulumi-state"
    export PULUMI_CONFIG_PASSPHRASE_FILE="$_rag_root/.pulumi-state/passphrase"
    # `pulumi stack init` writes the passphrase's salt into the stack file. A stack that is made from a copy of the
    # project keeps it in the state, and this makes every later command look there: Pulumi.local.yaml stays as it is.
    export PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER=true
    grep -E '^(name|runtime):' "$_rag_root/Pulumi.yaml" >"$_rag_root/.pulumi-state/project/Pulumi.yaml"
    export PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true # nothing is fetched: the local stack needs no plugin
fi
unset _rag_file _rag_root
