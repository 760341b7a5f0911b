"""What may come to lmbench from outside, kind by kind: good examples, ways to damage them, and what holds of every one."""

from __future__ import annotations

import readers
import saved_models
from command_kinds import check_line, check_text, command_lines, damaged_line, texts
from damage import damaged_bytes, damaged_json, damaged_lines, damaged_npz, damaged_toml
from file_kinds import check_file, check_run_folder, damaged_file, run_files, side_files
from model_damage import damaged_arpa, damaged_saved
from promises import Kind
from result_kinds import check_results, check_scores, check_stored, results, score_files, stored
from suite_kinds import check_description, check_run, check_suite, descriptions, suites

KINDS: dict[str, Kind] = {
    "arpa": Kind(lambda: {"small": readers.ARPA.encode()}, damaged_arpa, readers.arpa_scores),
    "count-model": Kind(lambda: saved_models.saved("count"), damaged_saved, readers.saved_scores),
    "neural-model": Kind(lambda: saved_models.saved("neural"), damaged_saved, readers.saved_scores),
    "suite": Kind(suites, damaged_toml, check_suite),
    "suite-run": Kind(lambda: {"small": suites()["small"]}, damaged_toml, check_run),
    "description": Kind(descriptions, damaged_toml, check_description),
    "results": Kind(results, damaged_json, check_results),
    "stored-run": Kind(stored, damaged_npz, check_stored),
    "scores": Kind(score_files, damaged_lines, check_scores),
    "text": Kind(texts, damaged_bytes, check_text),
    "command-line": Kind(command_lines, damaged_line, check_line),
    "side-file": Kind(side_files, damaged_file, check_file),
    "run-folder": Kind(run_files, damaged_file, check_run_folder),
}
