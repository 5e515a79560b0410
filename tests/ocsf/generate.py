"""Writes the JSON Schemas that the tests validate exported events against, and the captions of their numbers.

    python3 -m venv venv && venv/bin/pip install ocsf-json-schema==1.2.0
    venv/bin/python tests/ocsf/generate.py

The package brings the schemas of OCSF itself, so nothing else is fetched.
"""

import json
from importlib.metadata import version
from pathlib import Path

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

PACKAGE = "1.2.0"
OCSF = "1.8.0"
CLASSES = [2004, 3002, 3004, 6003]
PROFILES = ["security_control"]

assert version("ocsf-json-schema") == PACKAGE, f"made for ocsf-json-schema {PACKAGE}"
whole = get_ocsf_schema(version=OCSF)
ocsf = OcsfJsonSchemaEmbedded(whole)


def write(name, value):
    text = json.dumps(value, indent=1, sort_keys=True)
    Path(__file__).with_name(f"{name}.json").write_text(text + "\n")


captions = {}
for uid in CLASSES:
    name = ocsf.lookup_class_name_from_uid(uid)
    write(name, ocsf.get_class_schema(name, PROFILES))
    attributes = whole["classes"][name]["attributes"]
    captions[uid] = {
        attribute: {number: value["caption"] for number, value in about["enum"].items()}
        for attribute, about in attributes.items()
        if "enum" in about
    }
write("captions", captions)
