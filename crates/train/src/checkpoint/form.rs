//! A snapshot of named f32 tensors and a JSON object <-> the bytes of one safetensors file.
//!
//! ```text
//! bytes 0..8    length N of the header, u64 little-endian, a multiple of 8
//! bytes 8..8+N  JSON, padded with spaces: {"__metadata__":{"format":"pt","gatemill":RECORD},
//!               NAME:{"dtype":"F32","shape":[..],"data_offsets":[begin,end]}, ...}
//! the rest      the tensors in the header's order, f32 little-endian, without gaps
//!
//! RECORD        {"checksum":"crc32:XXXXXXXX","format_version":1,"meta":{..},"tensors":{NAME:"XXXXXXXX", ..}}
//! ```
//!
//! A tensor's checksum is the CRC-32 of its name, shape and data ([`tensor_checksum`]). The record's own is the CRC-32 of the
//! rest of the record, that is of `{` and all that follows the first comma. Together with the checks below they cover
//! every bit: names, shapes and data by the tensors' checksums, the record by its own, offsets because tensors must
//! follow each other exactly, all else because it can only be spelled in one way.
//!
//! Promises: encode, decode, encode gives the same bytes, NaN payloads included; a flipped bit anywhere in a file with a record is
//! an error; nothing is allocated on a file's word before the length of the file has confirmed it. A file without a
//! record, as PyTorch writes, decodes with `meta` = `None`.

use std::borrow::Cow;
use std::io::Read;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde_json::{Map, Value};

use super::form_error::{FormError, PRINTED_CHARS, escaped};
use super::header::{Entry, MAX_NAME_BYTES, MAX_TENSORS, METADATA_KEY, parse_header, parse_object};
use super::snapshot::{Elements, Snapshot, Tensor};

/// The version that is written; every version up to it is read.
pub const FORMAT_VERSION: u64 = 1;
/// The longest header that is written or read: room for a vocabulary of all 1,112,064 characters, about 9 MB of numbers.
pub const MAX_HEADER_BYTES: u64 = 16 << 20;

const VALUE_BYTES: u64 = 4;
const RECORD_KEY: &str = "gatemill";
/// How every record begins; eight hexadecimal digits follow.
const RECORD_START: &str = "{\"checksum\":\"crc32:";
/// Length of [`RECORD_START`], the digits, the quote and the comma.
const RECORD_HEAD_BYTES: usize = RECORD_START.len() + 8 + 2;

/// Values of a tensor that are legal but need a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddValues {
    /// Tensor name.
    pub tensor: String,
    /// How many values are NaN or infinite.
    pub nonfinite: u64,
    /// How many values are denormal: between 0 and 2^-126 in size.
    pub denormal: u64,
}

/// A snapshot read from bytes. Whether odd values are acceptable is the caller's to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The content, every checksum that the file has verified.
    pub snapshot: Snapshot,
    /// Tensors with NaN, infinite or denormal values, in file order.
    pub odd_values: Vec<OddValues>,
}

/// The snapshot as the bytes of a file.
///
/// Errors: names, shapes and counts that [`decode`] would refuse, or a header beyond [`MAX_HEADER_BYTES`].
pub fn encode<E: Elements>(snapshot: &Snapshot<E>) -> Result<Vec<u8>, FormError> {
    let mut room = Vec::new();
    let mut bytes = encode_head(snapshot, &mut room)?;
    for tensor in &snapshot.tensors {
        bytes.extend_from_slice(&value_bytes(tensor.data.fetch(&mut room)));
    }
    Ok(bytes)
}

/// The first part of [`encode`]: the length and the header. The tensors' [`value_bytes`] follow it in order. For the
/// checksums every tensor is fetched, one at a time, into `room`.
pub(super) fn encode_head<E: Elements>(snapshot: &Snapshot<E>, room: &mut Vec<f32>) -> Result<Vec<u8>, FormError> {
    if snapshot.tensors.len() > MAX_TENSORS {
        return Err(FormError::TooManyTensors { cap: MAX_TENSORS });
    }
    let mut metadata = Map::new();
    metadata.insert("format".to_owned(), "pt".into());
    if let Some(meta) = &snapshot.meta {
        metadata.insert(RECORD_KEY.to_owned(), encode_record(&snapshot.tensors, meta, room).into());
    }
    let mut json = format!("{{\"{METADATA_KEY}\":{}", Value::Object(metadata));
    let mut names = std::collections::BTreeSet::new();
    let mut begin = 0_usize;
    for tensor in &snapshot.tensors {
        check_name(&tensor.name)?;
        if tensor.name.chars().any(char::is_control) {
            return Err(FormError::Name { tensor: tensor.name.clone(), fault: "written with control characters" });
        }
        if !names.insert(&tensor.name) {
            return Err(FormError::Duplicate { tensor: tensor.name.clone() });
        }
        let found_bytes = tensor.data.count().saturating_mul(VALUE_BYTES as usize);
        let shape: Vec<u64> = tensor.shape.iter().map(|&size| size as u64).collect();
        check_shape(&tensor.name, &shape, found_bytes as u64)?;
        let end = begin.saturating_add(found_bytes);
        let info = TensorInfo { dtype: Dtype::F32, shape: tensor.shape.clone(), data_offsets: (begin, end) };
        begin = end;
        json.push_str(&format!(",{}:{}", Value::from(tensor.name.as_str()), json_of(&info)?));
    }
    json.push('}');
    while !json.len().is_multiple_of(8) {
        json.push(' ');
    }
    let header_bytes = json.len() as u64;
    if header_bytes > MAX_HEADER_BYTES {
        return Err(FormError::HeaderTooLarge { header_bytes, cap_bytes: MAX_HEADER_BYTES });
    }
    Ok([&header_bytes.to_le_bytes(), json.as_bytes()].concat())
}

/// The f32 of a tensor as the file has them. On little-endian machines a view, nothing is copied.
pub(crate) fn value_bytes(data: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(data))
    } else {
        Cow::Owned(data.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// The bytes of a file as a snapshot. Never panics, whatever the bytes are.
///
/// Errors: see [`FormError`]; each names the byte or the tensor.
pub fn decode(bytes: &[u8]) -> Result<Decoded, FormError> {
    let mut rest = bytes;
    decode_from(&mut rest, bytes.len() as u64)
}

/// Like [`decode`], from a reader that is to give exactly `size_bytes`, each byte read once, tensors straight into
/// their own memory.
pub fn decode_from(content: &mut dyn Read, size_bytes: u64) -> Result<Decoded, FormError> {
    let mut reader = Reader { content, offset: 0, size_bytes };
    let mut length = [0_u8; 8];
    let first = length.get_mut(..size_bytes.min(8) as usize).unwrap_or_default();
    reader.fill(first)?;
    let header_bytes = u64::from_le_bytes(length);
    let data_start = header_bytes.saturating_add(8);
    if size_bytes < 8 || data_start > size_bytes || header_bytes > MAX_HEADER_BYTES {
        // Asked only now: these bytes can also be the length of a sound header.
        return Err(if length.starts_with(b"PK\x03\x04") || length.starts_with(b"\x80\x02") {
            FormError::Pickle
        } else if size_bytes < 8 {
            FormError::TooShort { size_bytes }
        } else if data_start > size_bytes {
            FormError::HeaderBeyondFile { header_bytes, size_bytes }
        } else {
            FormError::HeaderTooLarge { header_bytes, cap_bytes: MAX_HEADER_BYTES }
        });
    }
    let mut text = vec![0_u8; header_bytes as usize];
    reader.fill(&mut text)?;
    let header = parse_header(&text)?;

    // Everything that the header says about the data is checked before any of it is read.
    let mut end = 0_u64;
    for (name, entry) in &header.tensors {
        end = check_entry(name, entry, end)?;
    }
    let needed_bytes = data_start.saturating_add(end);
    if needed_bytes != size_bytes {
        return Err(FormError::Length { needed_bytes, found_bytes: size_bytes });
    }
    let record = decode_record(&header.metadata)?;

    let mut decoded = Decoded { snapshot: Snapshot::default(), odd_values: Vec::new() };
    for (name, entry) in header.tensors {
        let offset = reader.offset;
        let data = reader.values(&name, &entry)?;
        let shape = entry.shape.iter().map(|&size| size as usize).collect();
        let tensor = Tensor { name, shape, data };
        if let Some(record) = &record {
            record.check(&tensor, offset)?;
        }
        decoded.odd_values.extend(odd_values(&tensor));
        decoded.snapshot.tensors.push(tensor);
    }
    reader.at_end()?;
    if let Some(record) = record {
        record.knows_only(&decoded.snapshot)?;
        decoded.snapshot.meta = Some(record.meta);
    }
    Ok(decoded)
}

/// A reader that knows where it is.
struct Reader<'a> {
    content: &'a mut dyn Read,
    offset: u64,
    size_bytes: u64,
}

impl Reader<'_> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), FormError> {
        self.content.read_exact(buffer).map_err(|source| FormError::Read { offset: self.offset, source })?;
        self.offset = self.offset.saturating_add(buffer.len() as u64);
        Ok(())
    }

    /// Reads a tensor whose entry was checked against the length of the file.
    fn values(&mut self, name: &str, entry: &Entry) -> Result<Vec<f32>, FormError> {
        let needed_bytes = entry.data_offsets[1].saturating_sub(entry.data_offsets[0]);
        let no_memory = || FormError::NoMemory { tensor: name.to_owned(), needed_bytes };
        let count = usize::try_from(needed_bytes / VALUE_BYTES).map_err(|_| no_memory())?;
        let mut data = Vec::new();
        data.try_reserve_exact(count).map_err(|_| no_memory())?;
        data.resize(count, 0.0_f32);
        self.fill(bytemuck::cast_slice_mut(&mut data))?;
        if cfg!(target_endian = "big") {
            for value in &mut data {
                *value = f32::from_bits(value.to_bits().swap_bytes());
            }
        }
        Ok(data)
    }

    /// A file that has grown since its length was asked is refused.
    fn at_end(&mut self) -> Result<(), FormError> {
        let mut more = [0_u8];
        match self.content.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => {
                Err(FormError::Length { needed_bytes: self.size_bytes, found_bytes: self.size_bytes.saturating_add(1) })
            }
            Err(source) => Err(FormError::Read { offset: self.offset, source }),
        }
    }
}

/// Checks one entry of a header; returns where its data end.
fn check_entry(name: &str, entry: &Entry, expected: u64) -> Result<u64, FormError> {
    check_name(name)?;
    let tensor = || name.to_owned();
    if entry.dtype != "F32" {
        let dtype = entry.dtype.chars().take(PRINTED_CHARS).flat_map(char::escape_debug).collect();
        return Err(FormError::Dtype { tensor: tensor(), dtype });
    }
    let [begin, end] = entry.data_offsets;
    if begin != expected || end < begin {
        return Err(FormError::Offsets { tensor: tensor(), begin, end, expected });
    }
    check_shape(name, &entry.shape, end.saturating_sub(begin))?;
    Ok(end)
}

fn check_name(name: &str) -> Result<(), FormError> {
    let fault = match name {
        "" => "empty",
        METADATA_KEY => "reserved",
        _ if name.len() > MAX_NAME_BYTES => "longer than 512 bytes",
        _ => return Ok(()),
    };
    Err(FormError::Name { tensor: name.to_owned(), fault })
}

/// Checks that `shape` has elements and makes `found_bytes`.
fn check_shape(name: &str, shape: &[u64], found_bytes: u64) -> Result<(), FormError> {
    let (tensor, shape_of) = (|| name.to_owned(), || shape.to_vec());
    if shape.contains(&0) {
        return Err(FormError::Empty { tensor: tensor(), shape: shape_of() });
    }
    let needed_bytes = shape
        .iter()
        .try_fold(VALUE_BYTES, |product, &size| product.checked_mul(size))
        .ok_or_else(|| FormError::ShapeOverflow { tensor: tensor(), shape: shape_of() })?;
    if needed_bytes != found_bytes {
        return Err(FormError::ShapeBytes { tensor: tensor(), shape: shape_of(), needed_bytes, found_bytes });
    }
    Ok(())
}

/// CRC-32 (IEEE) over, in this order: the name's length, the name, the number of dimensions, each size, the data;
/// numbers as u64 little-endian.
pub fn tensor_checksum(name: &str, shape: &[usize], data: &[f32]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&(name.len() as u64).to_le_bytes());
    crc.update(name.as_bytes());
    crc.update(&(shape.len() as u64).to_le_bytes());
    for &size in shape {
        crc.update(&(size as u64).to_le_bytes());
    }
    crc.update(&value_bytes(data));
    crc.finalize()
}

fn encode_record<E: Elements>(tensors: &[Tensor<E>], meta: &Map<String, Value>, room: &mut Vec<f32>) -> String {
    let mut checksums = Map::new();
    for tensor in tensors {
        let checksum = tensor_checksum(&tensor.name, &tensor.shape, tensor.data.fetch(room));
        checksums.insert(tensor.name.clone(), format!("{checksum:08x}").into());
    }
    let mut body = Map::new();
    body.insert("format_version".to_owned(), FORMAT_VERSION.into());
    body.insert("meta".to_owned(), Value::Object(meta.clone()));
    body.insert("tensors".to_owned(), Value::Object(checksums));
    let body = Value::Object(body).to_string();
    let checksum = crc32fast::hash(body.as_bytes());
    let rest = body.strip_prefix('{').unwrap_or(&body);
    format!("{RECORD_START}{checksum:08x}\",{rest}")
}

/// A record whose own checksum is right.
struct Record {
    meta: Map<String, Value>,
    checksums: Map<String, Value>,
}

/// Finds and checks the record. `None`: the file has none.
fn decode_record(metadata: &[(String, String)]) -> Result<Option<Record>, FormError> {
    let wrong = |reason: String| FormError::Record { reason };
    let Some((_, text)) = metadata.iter().find(|(key, _)| key == RECORD_KEY) else {
        // A damaged key must not pass for a file that never had a record.
        let is_record = |text: &str| text.starts_with(RECORD_START) || text.contains("\"format_version\":");
        return match metadata.iter().find(|(_, text)| is_record(text)) {
            Some((key, _)) => Err(wrong(format!("it stands under the key {}", escaped(key)))),
            None => Ok(None),
        };
    };
    for (key, value) in metadata {
        if key != RECORD_KEY && (key != "format" || value != "pt") {
            return Err(wrong(format!("{}: {} stands beside it", escaped(key), escaped(value))));
        }
    }
    if metadata.len() != 2 {
        return Err(wrong("\"format\": \"pt\" is missing beside it".to_owned()));
    }
    let Some((head, rest)) = text.split_at_checked(RECORD_HEAD_BYTES) else {
        return Err(wrong("it is cut off".to_owned()));
    };
    let found = format!("{:08x}", crc32fast::hash(format!("{{{rest}").as_bytes()));
    if head != format!("{RECORD_START}{found}\",") {
        let expected = escaped(head.strip_prefix(RECORD_START).unwrap_or(head).trim_end_matches("\","));
        return Err(FormError::RecordChecksum { found, expected });
    }
    let mut fields = parse_object(text).map_err(wrong)?;
    fields.remove("checksum");
    match fields.remove("format_version").and_then(|version| version.as_u64()) {
        Some(found) if found > FORMAT_VERSION => {
            return Err(FormError::NewerVersion { found, known: FORMAT_VERSION });
        }
        Some(FORMAT_VERSION) => {}
        _ => return Err(wrong("`format_version` is missing or is no version".to_owned())),
    }
    let (Some(Value::Object(meta)), Some(Value::Object(checksums))) = (fields.remove("meta"), fields.remove("tensors"))
    else {
        return Err(wrong("`meta` or `tensors` is missing or is no object".to_owned()));
    };
    if let Some(key) = fields.keys().next() {
        return Err(wrong(format!("it has an unknown field {}", escaped(key))));
    }
    Ok(Some(Record { meta, checksums }))
}

impl Record {
    /// Checks a tensor that begins at byte `offset` of the file.
    fn check(&self, tensor: &Tensor, offset: u64) -> Result<(), FormError> {
        let found = format!("{:08x}", tensor_checksum(&tensor.name, &tensor.shape, &tensor.data));
        match self.checksums.get(&tensor.name).and_then(Value::as_str) {
            Some(saved) if saved == found => Ok(()),
            Some(saved) => {
                Err(FormError::TensorChecksum { tensor: tensor.name.clone(), offset, found, expected: escaped(saved) })
            }
            None => Err(FormError::Record { reason: format!("no checksum of tensor {}", escaped(&tensor.name)) }),
        }
    }

    /// Refuses checksums of tensors that are not there.
    fn knows_only(&self, snapshot: &Snapshot) -> Result<(), FormError> {
        // Each tensor was found here by its name, and names differ, so equal counts mean equal sets.
        if self.checksums.len() == snapshot.tensors.len() {
            return Ok(());
        }
        match self.checksums.keys().find(|name| snapshot.tensor(name).is_none()) {
            Some(name) => Err(FormError::Record { reason: format!("tensor {} is missing", escaped(name)) }),
            None => Ok(()),
        }
    }
}

fn odd_values(tensor: &Tensor) -> Option<OddValues> {
    let nonfinite = tensor.data.iter().filter(|value| !value.is_finite()).count() as u64;
    let denormal = tensor.data.iter().filter(|value| value.is_subnormal()).count() as u64;
    (nonfinite > 0 || denormal > 0).then(|| OddValues { tensor: tensor.name.clone(), nonfinite, denormal })
}

/// Serialisation of a plain struct of numbers, which cannot fail; an error is passed on all the same.
fn json_of(info: &TensorInfo) -> Result<String, FormError> {
    serde_json::to_string(info).map_err(|error| FormError::Record { reason: error.to_string() })
}
