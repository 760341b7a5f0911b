"""The reference of results.json on stdout: docs/reference/results.schema.json, or with --page docs/reference/results.md."""

import json
import sys

from lmbench.results.documentation import json_schema, page

if "--page" in sys.argv:
    print(page(), end="")
else:
    print(json.dumps(json_schema(), indent=1, ensure_ascii=False))
