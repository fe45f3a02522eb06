//! Reads the schema literals of `k8s-openapi`'s source: JSON but for references, escapes and trailing commas.

use serde_json::Value;

/// The value of the literal `source` begins with. Panics on what the library does not write.
pub fn read(source: &str) -> Value {
    Reader { rest: source }.value()
}

struct Reader<'s> {
    rest: &'s str,
}

impl<'s> Reader<'s> {
    fn value(&mut self) -> Value {
        self.skip();
        match self.rest.as_bytes()[0] {
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => Value::from(self.text()),
            b'(' => self.reference(),
            _ => {
                let end = self.rest.find([',', '}', ']', '\n']).expect("a literal ends");
                let word = self.take(end);
                serde_json::from_str(word.trim()).unwrap_or_else(|_| panic!("{word} is a literal"))
            }
        }
    }

    fn object(&mut self) -> Value {
        let mut object = serde_json::Map::new();
        self.take(1);
        while !self.closes('}') {
            let name = self.text();
            self.expect(":");
            let value = self.value();
            object.insert(name, value);
            self.comma();
        }
        Value::Object(object)
    }

    fn list(&mut self) -> Value {
        let mut list = Vec::new();
        self.take(1);
        while !self.closes(']') {
            list.push(self.value());
            self.comma();
        }
        Value::Array(list)
    }

    /// `(__gen.subschema_for::<PATH>())`, or a block that adds a description to one.
    fn reference(&mut self) -> Value {
        let at =
            self.rest.find("subschema_for::<").expect("a reference names a type") + "subschema_for::<".len();
        self.take(at);
        let end = self.rest.find(">()").expect("a type's name ends");
        let mut object = serde_json::Map::new();
        object.insert("$ref".into(), self.take(end).into());
        self.take(">()".len());
        if !self.rest.starts_with(')') {
            let at = self.rest.find("\"description\".into(), ").expect("a block describes");
            self.take(at + "\"description\".into(), ".len());
            object.insert("description".into(), self.text().into());
            let at = self.rest.find("})").expect("a block ends");
            self.take(at + 1);
        }
        self.expect(")");
        Value::Object(object)
    }

    fn text(&mut self) -> String {
        self.expect("\"");
        let mut text = String::new();
        loop {
            let end = self.rest.find(['"', '\\']).expect("a text ends");
            text.push_str(self.take(end));
            match self.take(1) {
                "\"" => return text,
                _ => text.push(self.escape()),
            }
        }
    }

    fn escape(&mut self) -> char {
        match self.take(1) {
            "n" => '\n',
            "t" => '\t',
            "r" => '\r',
            "u" => {
                self.expect("{");
                let end = self.rest.find('}').expect("a code ends");
                let code = u32::from_str_radix(self.take(end), 16).expect("a code is hexadecimal");
                self.take(1);
                char::from_u32(code).expect("a code is a character")
            }
            other => other.chars().next().expect("something follows a backslash"),
        }
    }

    fn closes(&mut self, end: char) -> bool {
        self.skip();
        let closes = self.rest.starts_with(end);
        self.take(usize::from(closes));
        closes
    }

    fn comma(&mut self) {
        self.skip();
        self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
    }

    fn expect(&mut self, what: &str) {
        self.skip();
        self.rest =
            self.rest.strip_prefix(what).unwrap_or_else(|| panic!("{what} expected at {:.80}", self.rest));
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, bytes: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }
}
