#!/bin/sh
# The handler of `lambda.packaging: zip`: the Lambda Web Adapter's layer starts it (AWS_LAMBDA_EXEC_WRAPPER=/opt/bootstrap).
here="$(dirname "$(readlink -f "$0")")"
cd "$here" || exit 1
export PYTHONPATH="$here" HOME=/tmp
exec python3 -m service
