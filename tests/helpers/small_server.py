"""A server like those that hold language models, in a thread of the test, which answers as the named kind of them does."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from tiny_transformers import transformers

from lmbench.text.subword import _of_byte_level


class Answers:
    """What a network says of prompts, as a kind of server puts it.

    kind: ``openai`` (nothing before the text; bytes spelled), ``vllm`` (each token decoded alone), ``prompt_logprobs`` (vLLM's own
    form), ``llama-cpp-python`` (bos left out, and the first token untold), ``llama.cpp`` (no echo). bos: put before prompts.
    """

    def __init__(self, folder, kind="vllm", bos=None):
        self.kind, self.bos = kind, bos
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.network = transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval()
        self.most = self.network.config.max_position_embeddings
        self.models = [{"id": "small", "max_model_len": self.most}]
        self.troubles = []  # (status, answer) in place of the next answers; None as status: the connection breaks
        self.asked = []  # prompts
        self.keys = []

    def shown(self, token):
        text = self.tokenizer.decode([token])
        if self.kind == "openai" and "\ufffd" in text:
            data = _of_byte_level(self.tokenizer.convert_ids_to_tokens(token))
            return "bytes:" + "".join(f"\\x{b:02x}" for b in data)
        return text.replace("\ufffd", "") if self.kind == "llama-cpp-python" else text

    def complete(self, body):
        """(status, answer) of /v1/completions."""
        if body["model"] != "small":
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        ids = self.tokenizer(body["prompt"], add_special_tokens=False, verbose=False)["input_ids"]
        ids = ids if self.bos is None else [self.bos, *ids]
        if len(ids) >= self.most:
            return 400, {"error": {"message": f"maximum context length is {self.most} tokens"}}
        with torch.no_grad():
            rows = torch.log_softmax(self.network(torch.tensor([ids])).logits[0].double(), -1)
        best = rows.argmax(-1).tolist()
        ids = [*ids, best[-1]]
        nats = [None, *(float(rows[t, i]) for t, i in enumerate(ids[1:]))]
        tops = [None, *({self.shown(b): float(rows[t, b])} for t, b in enumerate(best))]
        tokens = [self.shown(i) for i in ids]
        if self.kind == "prompt_logprobs":
            rows_of = [None]
            for t, i in enumerate(ids[1:-1]):
                both = dict.fromkeys([i, best[t]])
                rows_of.append(
                    {str(j): {"logprob": float(rows[t, j]), "decoded_token": self.shown(j)} for j in both}
                )
            return 200, {"choices": [{"text": "", "prompt_logprobs": rows_of}]}
        if self.kind == "llama-cpp-python" and self.bos is not None:
            tokens, nats, tops = tokens[1:], [None, *nats[2:]], [None, *tops[2:]]
        if self.kind == "llama.cpp":
            tokens, nats, tops = tokens[-1:], nats[-1:], tops[-1:]
        said = {"tokens": tokens, "token_logprobs": nats, "top_logprobs": tops}
        usage = {"completion_tokens": 1}
        return 200, {"choices": [{"text": "".join(tokens), "logprobs": said}], "usage": usage}


@contextlib.contextmanager
def serving(answers):
    """The address of a server on this machine that answers so."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            listed = answers.models
            self.answer(*((404, {"detail": "Not Found"}) if listed is None else (200, {"data": listed})))

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answers.asked.append(body["prompt"])
            answers.keys.append(self.headers.get("Authorization"))
            trouble = answers.troubles.pop(0) if answers.troubles else None
            if trouble is not None and trouble[0] is None:
                self.close_connection = True
                return self.connection.shutdown(2)
            self.answer(*(trouble or answers.complete(body)))

        def answer(self, status, document):
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", "http://127.0.0.1:9/v1/completions")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
