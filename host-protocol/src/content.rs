//! What a cell shows.

use serde::{Deserialize, Serialize};

use crate::{
    decode::{Decode, Value},
    fault::Fault,
};

/// One item of a cell's output, in the shape in which models take it.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ContentItem {
    /// Text.
    InputText {
        /// The text itself.
        text: String,
    },
    /// A picture.
    InputImage {
        /// A `data:` or `https:` URL.
        image_url: String,
        /// How closely the model should look; the model's own choice when absent.
        #[serde(default)]
        detail: Option<ImageDetail>,
    },
    /// A sound.
    InputAudio {
        /// A `data:` URL.
        audio_url: String,
    },
}

impl ContentItem {
    /// A text item.
    pub fn text(text: impl Into<String>) -> ContentItem {
        ContentItem::InputText { text: text.into() }
    }

    /// Bytes that the item's payload (text or URL) takes; what output budgets count.
    pub fn len_bytes(&self) -> usize {
        match self {
            ContentItem::InputText { text } => text.len(),
            ContentItem::InputImage { image_url, .. } => image_url.len(),
            ContentItem::InputAudio { audio_url } => audio_url.len(),
        }
    }
}

/// How closely a model should look at an image.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageDetail {
    /// The model chooses.
    Auto,
    /// Few tokens.
    Low,
    /// Many tokens.
    High,
    /// As it is, unscaled.
    Original,
}

impl Decode for ContentItem {
    fn read(value: Value<'_>) -> Result<ContentItem, Fault> {
        match value.tag("type", &["input_text", "input_image", "input_audio"])? {
            "input_text" => {
                let [text] = value.tagged("type", ["text"])?;
                Ok(ContentItem::InputText { text: text.required()? })
            }
            "input_image" => {
                let [image_url, detail] = value.tagged("type", ["image_url", "detail"])?;
                Ok(ContentItem::InputImage {
                    image_url: image_url.required()?,
                    detail: detail.optional()?,
                })
            }
            _ => {
                let [audio_url] = value.tagged("type", ["audio_url"])?;
                Ok(ContentItem::InputAudio { audio_url: audio_url.required()? })
            }
        }
    }
}

impl Decode for ImageDetail {
    fn read(value: Value<'_>) -> Result<ImageDetail, Fault> {
        Ok(match value.word(&["auto", "low", "high", "original"])? {
            "auto" => ImageDetail::Auto,
            "low" => ImageDetail::Low,
            "high" => ImageDetail::High,
            _ => ImageDetail::Original,
        })
    }
}
