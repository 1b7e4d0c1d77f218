"""Python's gRPC against interop-server: all four kinds of call, over HTTP/2."""

import argparse
import queue
import sys

import grpc
from grpc.testing import empty_pb2, messages_pb2, test_pb2_grpc

PATIENCE_S = 30
REQUESTS = [27182, 8, 1828, 45904]
RESPONSES = [31415, 9, 2653, 58979]


def zeros(size):
    return messages_pb2.Payload(body=bytes(size))


def expect(what, expected, got):
    if expected != got:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


def expect_failure(code, call):
    try:
        call()
    except grpc.RpcError as error:
        expect("status code", code, error.code())
        return error
    raise AssertionError(f"expected {code}, got success")


def ask(request_size, response_size):
    return messages_pb2.StreamingOutputCallRequest(
        response_parameters=[messages_pb2.ResponseParameters(size=response_size)],
        payload=zeros(request_size),
    )


def empty_unary(stub):
    expect("response", empty_pb2.Empty(), stub.EmptyCall(empty_pb2.Empty(), timeout=PATIENCE_S))


def large_request(**fields):
    return messages_pb2.SimpleRequest(response_size=314159, payload=zeros(271828), **fields)


def large_unary(stub):
    response = stub.UnaryCall(large_request(), timeout=PATIENCE_S)
    expect("payload", bytes(314159), response.payload.body)


def compressed_unary(stub):
    request = large_request(
        expect_compressed=messages_pb2.BoolValue(value=True),
        response_compressed=messages_pb2.BoolValue(value=True),
    )
    response = stub.UnaryCall(request, timeout=PATIENCE_S, compression=grpc.Compression.Gzip)
    expect("payload", bytes(314159), response.payload.body)
    expect_failure(
        grpc.StatusCode.INVALID_ARGUMENT, lambda: stub.UnaryCall(request, timeout=PATIENCE_S)
    )


def client_streaming(stub):
    requests = (
        messages_pb2.StreamingInputCallRequest(payload=zeros(size)) for size in REQUESTS
    )
    response = stub.StreamingInputCall(requests, timeout=PATIENCE_S)
    expect("aggregated size", sum(REQUESTS), response.aggregated_payload_size)


def server_streaming(stub):
    request = messages_pb2.StreamingOutputCallRequest(
        response_parameters=[messages_pb2.ResponseParameters(size=size) for size in RESPONSES]
    )
    responses = stub.StreamingOutputCall(request, timeout=PATIENCE_S)
    expect("sizes", RESPONSES, [len(response.payload.body) for response in responses])


def ping_pong(stub):
    requests = queue.Queue()
    responses = stub.FullDuplexCall(iter(requests.get, None), timeout=PATIENCE_S)
    for request_size, response_size in zip(REQUESTS, RESPONSES):
        requests.put(ask(request_size, response_size))
        expect("size", response_size, len(next(responses).payload.body))
    requests.put(None)
    expect("responses after the last", [], list(responses))


def custom_metadata(stub):
    metadata = (
        ("x-grpc-test-echo-initial", "test_initial_metadata_value"),
        ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"),
    )
    _, call = stub.UnaryCall.with_call(large_request(), timeout=PATIENCE_S, metadata=metadata)
    expect("first metadata", True, metadata[0] in [tuple(pair) for pair in call.initial_metadata()])
    expect("last metadata", True, metadata[1] in [tuple(pair) for pair in call.trailing_metadata()])


def special_status_message(stub):
    message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    request = messages_pb2.SimpleRequest(
        response_status=messages_pb2.EchoStatus(code=2, message=message)
    )
    error = expect_failure(
        grpc.StatusCode.UNKNOWN, lambda: stub.UnaryCall(request, timeout=PATIENCE_S)
    )
    expect("status message", message, error.details())


def unimplemented(stub):
    expect_failure(
        grpc.StatusCode.UNIMPLEMENTED,
        lambda: stub.UnimplementedCall(empty_pb2.Empty(), timeout=PATIENCE_S),
    )


def cancel_after_first_response(stub):
    requests = queue.Queue()
    responses = stub.FullDuplexCall(iter(requests.get, None), timeout=PATIENCE_S)
    requests.put(ask(REQUESTS[0], RESPONSES[0]))
    expect("size", RESPONSES[0], len(next(responses).payload.body))
    responses.cancel()
    expect_failure(grpc.StatusCode.CANCELLED, lambda: next(responses))
    requests.put(None)


def timeout_on_sleeping_server(stub):
    requests = queue.Queue()
    requests.put(messages_pb2.StreamingOutputCallRequest(payload=zeros(REQUESTS[0])))
    responses = stub.FullDuplexCall(iter(requests.get, None), timeout=0.001)
    expect_failure(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(responses))
    requests.put(None)


CASES = [
    empty_unary,
    large_unary,
    compressed_unary,
    client_streaming,
    server_streaming,
    ping_pong,
    custom_metadata,
    special_status_message,
    unimplemented,
    cancel_after_first_response,
    timeout_on_sleeping_server,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="host:port or unix:/path of the server")
    target = parser.parse_args().target
    failed = 0
    with grpc.insecure_channel(target) as channel:
        stub = test_pb2_grpc.TestServiceStub(channel)
        for case in CASES:
            try:
                case(stub)
                print(f"PASS {case.__name__}: grpcio {grpc.__version__} to {target}")
            except (AssertionError, grpc.RpcError) as error:
                failed += 1
                print(f"FAIL {case.__name__}: grpcio {grpc.__version__} to {target}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
