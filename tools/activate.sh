# Source this to use `pulumi` on this machine: the project's Python and tools, and a state of its own.
#
#     . tools/activate.sh
#
# The state lies under .pulumi-state, its secrets encrypted with a passphrase that is made on first use. Where
# PULUMI_BACKEND_URL is set already, that backend is left to you, and so are its passphrase and its stack files.

if [ -n "${BASH_VERSION:-}" ]; then
    RAG_ROOT="${BASH_SOURCE}"
elif [ -n "${ZSH_VERSION:-}" ]; then
    eval 'RAG_ROOT="${(%):-%x}"'
else
    RAG_ROOT=tools/activate.sh # a plain sh does not say which file it reads: source it from the project's folder
fi
RAG_ROOT="$(cd "$(dirname "$RAG_ROOT")/.." && pwd)"

export VIRTUAL_ENV="$RAG_ROOT/.venv"
export PATH="$RAG_ROOT/.venv/bin:$RAG_ROOT/.tools/bin:$PATH" # .tools is empty where the machine has a CLI
export PULUMI_SKIP_UPDATE_CHECK=true

if [ "${PULUMI_BACKEND_URL:-file://$RAG_ROOT/.pulumi-state}" = "file://$RAG_ROOT/.pulumi-state" ]; then
    if [ ! -s "$RAG_ROOT/.pulumi-state/passphrase" ]; then
        mkdir -p "$RAG_ROOT/.pulumi-state"
        (umask 077 && head -c 32 /dev/urandom | base64 >"$RAG_ROOT/.pulumi-state/passphrase")
    fi
    export PULUMI_BACKEND_URL="file://$RAG_ROOT/.pulumi-state"
    export PULUMI_CONFIG_PASSPHRASE_FILE="$RAG_ROOT/.pulumi-state/passphrase"
    export PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true # nothing is fetched: the local stack needs no plugin
    # Pulumi writes the salt of this machine's passphrase into the stack file, where it would be committed and break
    # every other clone. The state has it too, and with this Pulumi reads it there, so the stack file can do without.
    export PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER=true

    rag_forget_salt() {
        if grep -q '^encryptionsalt:' "$RAG_ROOT/Pulumi.local.yaml"; then
            grep -v '^encryptionsalt:' "$RAG_ROOT/Pulumi.local.yaml" >"$RAG_ROOT/.pulumi-state/unsalted.yaml"
            cat "$RAG_ROOT/.pulumi-state/unsalted.yaml" >"$RAG_ROOT/Pulumi.local.yaml"
            rm "$RAG_ROOT/.pulumi-state/unsalted.yaml"
        fi
    }

    pulumi() {
        if command pulumi "$@"; then set -- 0; else set -- $?; fi
        rag_forget_salt
        return "$1"
    }

    rag_forget_salt
fi
