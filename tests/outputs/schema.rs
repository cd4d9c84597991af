//! Judges a document by a schema of the OpenAPI file: the part of JSON Schema 2020-12 that the file uses, and a panic
//! for what it does not know, so that nothing goes unjudged.

use serde_json::{Map, Value, json};

/// With the file that `$ref` points into.
pub(crate) struct Judge<'a> {
    pub(crate) whole: &'a Value,
}

impl Judge<'_> {
    /// Adds what is wrong with `document`, which is at `at` in the whole answer.
    pub(crate) fn judge(
        &self,
        schema: &Value,
        document: &Value,
        at: &str,
        wrong: &mut Vec<String>,
    ) {
        for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
            match keyword.as_str() {
                // What it is for, and how a client may show it.
                "description" | "contentMediaType" | "format" | "default" => {}
                "$ref" => {
                    let place = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                    let schema = self.whole.pointer(place).unwrap_or_else(|| panic!("no {place}"));
                    self.judge(schema, document, at, wrong);
                }
                "allOf" => {
                    for schema in array(wanted) {
                        self.judge(schema, document, at, wrong);
                    }
                }
                "oneOf" => {
                    let fits = |schema: &&Value| {
                        let mut wrong = Vec::new();
                        self.judge(schema, document, at, &mut wrong);
                        wrong.is_empty()
                    };
                    let fitting = array(wanted).iter().filter(fits).count();
                    if fitting != 1 {
                        // Of the one that is no null, why.
                        for schema in array(wanted).iter().filter(|schema| schema["type"] != "null")
                        {
                            self.judge(schema, document, at, wrong);
                        }
                        wrong.push(format!("{at}: it is {fitting} of these, not one"));
                    }
                }
                "properties" => {
                    for (name, schema) in object(wanted) {
                        if let Some(value) = document.get(name) {
                            self.judge(schema, value, &format!("{at}/{name}"), wrong);
                        }
                    }
                }
                "additionalProperties" => {
                    let known = |name: &str| schema["properties"].get(name).is_some();
                    let fields = document.as_object().into_iter().flatten();
                    for (name, value) in fields.filter(|(name, _)| !known(name)) {
                        self.judge(wanted, value, &format!("{at}/{name}"), wrong);
                    }
                }
                "items" => {
                    for (place, value) in document.as_array().into_iter().flatten().enumerate() {
                        self.judge(wanted, value, &format!("{at}/{place}"), wrong);
                    }
                }
                keyword => {
                    if !holds(keyword, wanted, document) {
                        wrong.push(format!("{at}: {document} is not {keyword} {wanted}"));
                    }
                }
            }
        }
    }
}

/// A keyword that says something about one value; true where it does not apply to its kind.
fn holds(keyword: &str, wanted: &Value, document: &Value) -> bool {
    let at_least = |least: &Value| document.as_f64().is_none_or(|it| it >= least.as_f64().unwrap());
    match keyword {
        "type" => match wanted {
            Value::Array(kinds) => kinds.iter().any(|kind| is_a(document, kind)),
            kind => is_a(document, kind),
        },
        "const" => document == wanted,
        "enum" => array(wanted).contains(document),
        "required" => document.as_object().is_none_or(|fields| {
            array(wanted).iter().all(|name| fields.contains_key(name.as_str().unwrap()))
        }),
        "minimum" => at_least(wanted),
        "maximum" => document.as_f64().is_none_or(|it| it <= wanted.as_f64().unwrap()),
        "pattern" => {
            assert_eq!(wanted, "^[0-9a-f]{64}$", "the one pattern that is known here");
            let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            document.as_str().is_none_or(|it| it.len() == 64 && it.bytes().all(hexadecimal))
        }
        other => panic!("{other} is not judged here; teach it"),
    }
}

fn is_a(document: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => document.is_null(),
        "boolean" => document.is_boolean(),
        "integer" => document.is_i64() || document.is_u64(),
        "number" => document.is_number(),
        "string" => document.is_string(),
        "array" => document.is_array(),
        "object" => document.is_object(),
        other => panic!("{other} is no type"),
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("an array of schemas or values")
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("schemas by name")
}

#[test]
fn each_keyword_refuses_what_it_is_there_for() {
    let whole = json!({ "components": { "Count": { "type": "integer", "minimum": 0 } } });
    let count = json!({ "$ref": "#/components/Count" });
    for (schema, right, wrong) in [
        (json!({ "type": "string" }), json!("a"), json!(1)),
        (json!({ "type": ["number", "null"] }), json!(null), json!("a")),
        (json!({ "type": "integer" }), json!(1), json!(1.5)),
        (json!({ "const": 1 }), json!(1), json!(2)),
        (json!({ "enum": ["a", "b"] }), json!("b"), json!("c")),
        (json!({ "required": ["a"] }), json!({ "a": null }), json!({ "b": 1 })),
        (json!({ "minimum": 0, "maximum": 1 }), json!(0.5), json!(1.5)),
        (json!({ "pattern": "^[0-9a-f]{64}$" }), json!("ab".repeat(32)), json!("AB".repeat(32))),
        (count.clone(), json!(3), json!(-3)),
        (json!({ "properties": { "a": count } }), json!({ "a": 1 }), json!({ "a": "1" })),
        (json!({ "additionalProperties": count }), json!({ "x": 1 }), json!({ "x": 0.5 })),
        (json!({ "items": count }), json!([1, 2]), json!([1, -2])),
        (json!({ "allOf": [count, { "maximum": 3 }] }), json!(3), json!(4)),
        (json!({ "oneOf": [count, { "type": "null" }] }), json!(null), json!("a")),
        (json!({ "oneOf": [count, { "type": "integer" }] }), json!(-1), json!(1)),
    ] {
        let judge = Judge { whole: &whole };
        let found = |document: &Value| {
            let mut wrong = Vec::new();
            judge.judge(&schema, document, "", &mut wrong);
            wrong
        };
        assert!(found(&right).is_empty(), "{schema}: {right}: {:?}", found(&right));
        assert!(!found(&wrong).is_empty(), "{schema}: {wrong}");
    }
}
