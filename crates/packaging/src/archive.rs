//! Archives of images: config and files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;

use serde_json::Value;

/// File of third-party notices, which `notices` writes.
const NOTICES_FILE: &str = "THIRD-PARTY-NOTICES.txt";

/// A file or directory of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Size in bytes.
    pub size: u64,
    /// Mode bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u64, u64),
    /// `true` for a directory.
    pub is_dir: bool,
    /// Content of a licence notice; `None` for all other files.
    pub notice: Option<String>,
}

/// An image.
#[derive(Debug)]
pub struct Image {
    /// Settings of its containers: the member `config` of the image configuration.
    pub config: Value,
    /// Files and directories by path.
    pub files: BTreeMap<String, Entry>,
}

impl Image {
    /// Reads a docker-archive with one layer.
    #[must_use]
    pub fn read(archive: &Path) -> Self {
        let mut members = BTreeMap::new();
        for member in tar::Archive::new(File::open(archive).unwrap())
            .entries()
            .unwrap()
        {
            let mut member = member.unwrap();
            let name = member.path().unwrap().display().to_string();
            let mut content = Vec::new();
            member.read_to_end(&mut content).unwrap();
            members.insert(name, content);
        }
        let json = |name: &str| serde_json::from_slice::<Value>(&members[name]).unwrap();
        let manifest = &json("manifest.json")[0];
        let layers = manifest["Layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1, "{manifest}");
        Self {
            config: json(manifest["Config"].as_str().unwrap())["config"].take(),
            files: read_layer(&members[layers[0].as_str().unwrap()]),
        }
    }

    /// Returns the size of all files in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.values().map(|it| it.size).sum()
    }

    /// Returns the paths of all files, without directories.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        let files = self.files.iter().filter(|(_, entry)| !entry.is_dir);
        files.map(|(path, _)| path.as_str()).collect()
    }
}

fn read_layer(layer: &[u8]) -> BTreeMap<String, Entry> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(Cursor::new(layer)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut notice = path.ends_with(NOTICES_FILE).then(String::new);
        if let Some(text) = &mut notice {
            entry.read_to_string(text).unwrap();
        }
        let header = entry.header();
        let entry = Entry {
            size: header.size().unwrap(),
            mode: header.mode().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            is_dir: header.entry_type().is_dir(),
            notice,
        };
        files.insert(path, entry);
    }
    files
}
