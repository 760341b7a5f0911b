"""The JSON schema of results.json on stdout: docs/reference/results.schema.json."""

import json

from lmbench.results.schema import json_schema

print(json.dumps(json_schema(), indent=1, ensure_ascii=False))
