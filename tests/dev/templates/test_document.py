"""What expressions of a template come to before it is deployed: texts, marks of what is open, or nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets.dev._templates.document import Template, mark, read_template

SECONDS = 60.0
CONTENT: dict[str, Any] = {
    "Parameters": {
        "Open": {"Type": "String"},
        "Given": {"Type": "String", "Default": "default"},
        "Default": {"Type": "String", "Default": "default"},
        "Number": {"Type": "Number", "Default": 5},
        "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/name"},
        "Odd": "x",
    },
    "Mappings": {
        "Map": {"eu-west-1": {"a": "one", "b": "two"}, "us-east-1": {"a": "three"}, "odd": "x"},
        "Numbers": {"x": {"a": 1}},
    },
    "Resources": {"Secret": {"Type": "AWS::SecretsManager::Secret"}, "Odd": "x"},
}
REGION = {"Ref": "AWS::Region"}


@pytest.mark.parametrize(
    ("expression", "texts"),
    [
        ("text", ("text",)),
        (True, ("true",)),
        (5, ("5",)),
        (1.5, ("1.5",)),
        (None, None),
        ([], None),
        ({"a": 1, "b": 2}, None),
        ({"Fn::ImportValue": "x"}, None),
        ({"Ref": "Open"}, (mark("Open"),)),
        ({"Ref": "Odd"}, (mark("Odd"),)),
        ({"Ref": "Given"}, ("given",)),
        ({"Ref": "Default"}, ("default",)),
        ({"Ref": "Number"}, ("5",)),
        ({"Ref": "Stored"}, ("{{resolve:ssm:/name}}",)),
        ({"Ref": "Elsewhere"}, (mark("Elsewhere"),)),
        ({"Ref": "AWS::NoValue"}, ()),
        ({"Fn::GetAtt": ["Secret", "Arn"]}, (mark("Secret.Arn"),)),
        ({"Fn::GetAtt": "Secret.Id"}, (mark("Secret"),)),
        ({"Fn::GetAtt": ["Secret"]}, None),
        ({"Fn::GetAtt": ["Secret", REGION]}, None),
        ({"Fn::Sub": "a-${Given}-${ Open }-${!x}"}, (f"a-given-{mark('Open')}-${{x}}",)),
        ({"Fn::Sub": "${Secret.Arn}"}, (mark("Secret.Arn"),)),
        ({"Fn::Sub": ["${x}/${Given}", {"x": {"Ref": "Default"}}]}, ("default/given",)),
        ({"Fn::Sub": ["${x}", {"x": {"Fn::ImportValue": "y"}}]}, None),
        ({"Fn::Sub": ["${x}", "y"]}, None),
        ({"Fn::Sub": 5}, None),
        ({"Fn::Join": ["/", ["a", {"Ref": "Given"}, {"Ref": "AWS::NoValue"}]]}, ("a/given",)),
        ({"Fn::Join": ["/", {"Ref": "List"}]}, None),
        ({"Fn::Join": "x"}, None),
        ({"Fn::If": ["X", "a", {"Ref": "Given"}]}, ("a", "given")),
        ({"Fn::If": ["X", "a", {"Ref": "AWS::NoValue"}]}, ("a",)),
        ({"Fn::If": ["X", "a", {"Fn::ImportValue": "x"}]}, None),
        ({"Fn::Join": ["-", [{"Fn::If": ["X", "a", "b"]}, {"Fn::If": ["Y", "c", "d"]}]]}, ("a-c", "a-d", "b-c", "b-d")),
        ({"Fn::Join": ["", [{"Fn::If": ["X", "a", "b"]}] * 7]}, None),
        ({"Fn::FindInMap": ["Map", "eu-west-1", "b"]}, ("two",)),
        ({"Fn::FindInMap": ["Map", REGION, "a"]}, ("one", "three")),
        ({"Fn::FindInMap": ["Map", "eu-west-1", {"Fn::ImportValue": "x"}]}, ("one", "two")),
        ({"Fn::FindInMap": ["Map", "nowhere", "a"]}, None),
        ({"Fn::FindInMap": ["Numbers", "x", "a"]}, None),
        ({"Fn::FindInMap": []}, None),
        ({"Fn::Select": [1, ["a", {"Ref": "Given"}]]}, ("given",)),
        ({"Fn::Select": ["1", {"Fn::Split": [":", "a:b"]}]}, ("b",)),
        ({"Fn::Select": [2, ["a"]]}, None),
        ({"Fn::Select": [0, {"Fn::Split": [":", {"Fn::ImportValue": "x"}]}]}, None),
        ({"Fn::Select": [0, {"Fn::Split": "x"}]}, None),
        ({"Fn::Select": "x"}, None),
    ],
    ids=repr,
)
def test_expressions(expression: Any, texts: Any) -> None:
    """An expression comes to its texts, with marks for what is open; none for no value; None for unknown."""
    assert Template(CONTENT, Path(), {"Given": "given", "Elsewhere": "x"}).evaluate(expression) == texts


def test_lists() -> None:
    """A list is evaluated item by item, without those that have no value; one under a condition is unknown."""
    template = Template(CONTENT, Path(), {})

    assert template.evaluate_list(["a", {"Ref": "AWS::NoValue"}, {"Fn::ImportValue": "x"}]) == [("a",), None]
    assert template.evaluate_list("a") == [("a",)]
    assert template.evaluate_list(None) == []
    assert template.evaluate_list({"Fn::If": ["X", [], []]}) == [None]


def test_short_forms(tmp_path: Path) -> None:
    """YAML's short forms are read as the long ones, and dates and numbers as texts."""
    path = tmp_path / "template.yaml"
    path.write_text(
        "Resources:\n  C: { Type: !Condition Y }\n"
        "  A: { Type: !Ref X, P: !GetAtt B.C.D, S: !Sub ['${x}', {x: 1}], T: !Transform { Name: x } }\n"
        "  B: { Date: 2010-09-09, Account: 0123, Is: true }\n",
        encoding="utf-8",
    )

    assert read_template(path, {}).resources == {
        "A": {
            "Type": {"Ref": "X"},
            "P": {"Fn::GetAtt": ["B", "C.D"]},
            "S": {"Fn::Sub": ["${x}", {"x": "1"}]},
            "T": {"Fn::Transform": {"Name": "x"}},
        },
        "C": {"Type": {"Condition": "Y"}},
        "B": {"Date": "2010-09-09", "Account": "0123", "Is": True},
    }


def test_without_yaml() -> None:
    """Without PyYAML the extra is named."""
    program = "import sys; sys.modules['yaml'] = None; import lambdasecrets.dev._templates.document"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False)

    assert "Cannot read templates: PyYAML is not installed." in done.stderr
