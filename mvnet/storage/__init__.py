"""Files that appear whole: written in a hidden folder, committed by a journal, recovered after a kill."""

from mvnet.storage.files import (
    drop_progress,
    finish_pair,
    json_text,
    replacing,
    save_progress,
    write_atomically,
    write_json,
    write_pair,
)
from mvnet.storage.inputs import Inputs, content_digest
from mvnet.storage.lock import FileLock, lock_file
from mvnet.storage.low import is_own_folder
from mvnet.storage.names import check_names, check_text, longest_name
from mvnet.storage.parsing import parse_json
from mvnet.storage.staging import Staging, recover

__all__ = [
    "FileLock",
    "Inputs",
    "Staging",
    "check_names",
    "check_text",
    "content_digest",
    "drop_progress",
    "finish_pair",
    "is_own_folder",
    "json_text",
    "lock_file",
    "longest_name",
    "parse_json",
    "recover",
    "replacing",
    "save_progress",
    "write_atomically",
    "write_json",
    "write_pair",
]
