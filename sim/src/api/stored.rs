//! A stored object: its JSON, and its typed form once for all who read it.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

/// An object as it is in the store.
#[derive(Debug)]
pub struct Stored {
    json: Value,
    typed: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Stored {
    pub fn new(json: Value) -> Arc<Self> {
        Arc::new(Self { json, typed: OnceLock::new() })
    }

    /// The typed form; an object is of one type, so whoever asks asks for the same.
    pub fn typed<K: serde::de::DeserializeOwned + Send + Sync + 'static>(&self) -> Arc<K> {
        let typed = self.typed.get_or_init(|| Arc::new(read::<K>(&self.json))).clone();
        typed.downcast().unwrap_or_else(|_| Arc::new(read::<K>(&self.json)))
    }
}

fn read<K: serde::de::DeserializeOwned>(json: &Value) -> K {
    K::deserialize(json).expect("the registry stores what the types can read")
}

impl fmt::Display for Stored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json.fmt(out)
    }
}

impl Deref for Stored {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.json
    }
}
