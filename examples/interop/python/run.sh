#!/bin/sh
# Runs Python's gRPC against our interop-server, and our interop-client against Python's gRPC.
# Needs python3 with venv, and PyPI on the first run. All it leaves lies under target/.
set -eu
cd "$(dirname "$0")/../../.."
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    echo "not run: python3 with the modules venv and ensurepip is not here" >&2
    exit 1
fi
cargo build -p nowire-interop --bins

work=${CARGO_TARGET_DIR:-target}/interop-python
bin=${CARGO_TARGET_DIR:-target}/debug
here=examples/interop/python
if ! cmp -s "$here/requirements.txt" "$work/installed.txt"; then
    rm -rf "$work"
    mkdir -p "$work"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$work/installed.txt"
fi
# The generated modules are a part of the package `grpc`, as their .proto package says, so they
# go where Python finds that package.
stubs=$("$work/venv/bin/python" -c 'import grpc, os; print(os.path.dirname(os.path.dirname(grpc.__file__)))')
"$work/venv/bin/python" -m grpc_tools.protoc -I examples/interop/proto \
    --python_out="$stubs" --grpc_python_out="$stubs" \
    grpc/testing/empty.proto grpc/testing/messages.proto grpc/testing/test.proto

server=
stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    fi
}
trap stop EXIT

# Starts a server in the background and waits for the line that tells its address.
start() {
    : >"$work/server.out"
    "$@" >"$work/server.out" &
    server=$!
    tries=0
    until address=$(sed -n 's|^listening on ||p' "$work/server.out") && [ -n "$address" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
            echo "the server did not start: $*" >&2
            exit 1
        fi
        sleep 0.1
    done
}

start "$bin/interop-server" --address=127.0.0.1:0
"$work/venv/bin/python" "$here/interop_client.py" "${address#http://}"
stop

start "$work/venv/bin/python" -u "$here/interop_server.py"
"$bin/interop-client" --address="$address" --test_case="$(cat "$here/cases.txt")"
