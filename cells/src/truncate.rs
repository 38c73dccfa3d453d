//! Output cut to what a model can take: head and tail stay, the middle is left out and counted.
//!
//! When an output is cut, and what stands in its place, is what V1 hosts do under
//! `outputTruncation: "server"`, to the byte with [`Counting::FourBytes`].

use std::borrow::Cow;

use bpe_openai::Tokenizer;
use codemode_host_protocol::ContentItem;

use crate::audio;

/// How tokens are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Four bytes of text make a token. What V1 hosts do: a client that was written for one finds the
    /// same figures and the same cuts.
    FourBytes,
    /// The o200k_base vocabulary, which current models use.
    #[default]
    O200k,
}

/// Cuts `items` so that they take `max_tokens` at most, not counting the words that say so.
///
/// Text alone is cut as one text, its items joined by line feeds, with a head line that says how long it
/// was. Beside images and audio, each text keeps its place: the first ones stay whole, one is cut, the
/// others are counted. Images are always kept, and count nothing.
pub fn truncate(
    items: Vec<ContentItem>,
    max_tokens: usize,
    counting: Counting,
) -> Vec<ContentItem> {
    let texts: Option<Vec<&str>> = items
        .iter()
        .map(|item| match item {
            ContentItem::InputText { text } => Some(text.as_str()),
            ContentItem::InputImage { .. } | ContentItem::InputAudio { .. } => None,
        })
        .collect();
    let Some(texts) = texts else { return truncate_mixed(items, max_tokens, counting) };
    let joined = match texts.as_slice() {
        [] => return items,
        [one] => Cow::Borrowed(*one),
        many => Cow::Owned(many.join("\n")),
    };
    // No token is less than a byte: most output needs no vocabulary, which takes 100 ms to load.
    if joined.len() <= max_tokens {
        return items;
    }
    match counting.measure(&joined, max_tokens) {
        Measure::Fits { .. } => items,
        Measure::Over(cut) => {
            let lines = joined.lines().count();
            vec![ContentItem::text(format!(
                "Warning: truncated output (original token count: {})\nTotal output lines: {lines}\n\n{}",
                cut.original,
                cut.apply(&joined),
            ))]
        }
    }
}

fn truncate_mixed(
    mut items: Vec<ContentItem>,
    max_tokens: usize,
    counting: Counting,
) -> Vec<ContentItem> {
    items.retain(|item| !matches!(item, ContentItem::InputText { text } if text.is_empty()));
    let counted = items.iter().filter(|item| !matches!(item, ContentItem::InputImage { .. }));
    if counted.map(ContentItem::len_bytes).sum::<usize>() <= max_tokens {
        return items;
    }
    let mut left = max_tokens;
    let mut kept = Vec::with_capacity(items.len());
    let (mut texts_omitted, mut audio_omitted) = (0, 0);
    for item in items {
        match &item {
            ContentItem::InputImage { .. } => kept.push(item),
            ContentItem::InputAudio { audio_url } => {
                match left.checked_sub(audio_tokens(audio_url)) {
                    Some(rest) => {
                        left = rest;
                        kept.push(item);
                    }
                    None => audio_omitted += 1,
                }
            }
            ContentItem::InputText { .. } if left == 0 => texts_omitted += 1,
            ContentItem::InputText { text } => match counting.measure(text, left) {
                Measure::Fits { tokens } => {
                    left -= tokens;
                    kept.push(item);
                }
                Measure::Over(cut) => {
                    left = 0;
                    kept.push(ContentItem::text(cut.apply(text)));
                }
            },
        }
    }
    for (omitted, what) in [(texts_omitted, "text"), (audio_omitted, "audio")] {
        if omitted > 0 {
            kept.push(ContentItem::text(format!("[omitted {omitted} {what} items ...]")));
        }
    }
    kept
}

/// A text against a limit.
enum Measure {
    Fits { tokens: usize },
    Over(Cut),
}

/// Which parts of a text stay.
struct Cut {
    /// Bytes of the head.
    head: usize,
    /// Where the tail begins.
    tail: usize,
    original: Tokens,
    removed: Tokens,
}

impl Cut {
    fn apply(&self, text: &str) -> String {
        let (head, tail) = (&text[..self.head], &text[self.tail..]);
        format!("{head}…{} tokens truncated…{tail}", self.removed)
    }
}

/// A number of tokens, counted or estimated.
#[derive(Clone, Copy)]
struct Tokens {
    number: usize,
    exact: bool,
}

impl std::fmt::Display for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.exact {
            f.write_str("about ")?;
        }
        write!(f, "{}", self.number)
    }
}

impl Counting {
    fn measure(self, text: &str, max_tokens: usize) -> Measure {
        match self {
            Counting::FourBytes => measure_four_bytes(text, max_tokens),
            Counting::O200k => measure_o200k(text, max_tokens),
        }
    }
}

fn four_bytes(text: &str) -> usize {
    text.len().div_ceil(4)
}

/// Ten tokens for a second of sound where it can be told how long it is, or else what its URL takes as text.
fn audio_tokens(url: &str) -> usize {
    audio::tokens(url).unwrap_or_else(|| four_bytes(url))
}

fn measure_four_bytes(text: &str, max_tokens: usize) -> Measure {
    let tokens = four_bytes(text);
    if tokens <= max_tokens {
        return Measure::Fits { tokens };
    }
    // `tokens > max_tokens` keeps this below the text's length, so it cannot overflow.
    let half = max_tokens * 2;
    Measure::Over(Cut {
        head: text.floor_char_boundary(half),
        tail: text.ceil_char_boundary(text.len() - half),
        original: Tokens { number: tokens, exact: true },
        removed: Tokens { number: tokens - max_tokens, exact: true },
    })
}

fn measure_o200k(text: &str, max_tokens: usize) -> Measure {
    let tokenizer = bpe_openai::o200k_base();
    if text.len() > EXACT_BYTES
        && let Some(cut) = cut_at_the_ends(tokenizer, text, max_tokens)
    {
        return Measure::Over(cut);
    }
    let tokens = tokenizer.encode(text);
    if tokens.len() <= max_tokens {
        return Measure::Fits { tokens: tokens.len() };
    }
    let (head, tail) = halves(max_tokens);
    Measure::Over(Cut {
        head: text.floor_char_boundary(bytes_of(tokenizer, &tokens[..head])),
        tail: text
            .ceil_char_boundary(text.len() - bytes_of(tokenizer, &tokens[tokens.len() - tail..])),
        original: Tokens { number: tokens.len(), exact: true },
        removed: Tokens { number: tokens.len() - max_tokens, exact: true },
    })
}

/// Cuts a long text by looking only at its ends; `None` where the ends would meet.
fn cut_at_the_ends(tokenizer: &Tokenizer, text: &str, max_tokens: usize) -> Option<Cut> {
    let (head_tokens, tail_tokens) = halves(max_tokens);
    let mut window = max_tokens.saturating_mul(4).max(EXACT_BYTES / 4);
    loop {
        if window.saturating_mul(2) > text.len() {
            return None;
        }
        let head_window = &text[..text.floor_char_boundary(window)];
        let tail_window = &text[text.ceil_char_boundary(text.len() - window)..];
        let head = tokenizer.encode(head_window);
        let tail = tokenizer.encode(tail_window);
        if head.len() <= head_tokens || tail.len() <= tail_tokens {
            window = window.saturating_mul(4);
            continue;
        }
        let seen = head.len() + tail.len();
        let seen_bytes = head_window.len() + tail_window.len();
        let original = (text.len() as f64 * seen as f64 / seen_bytes as f64).round() as usize;
        let original = round_to_two_digits(original.max(seen));
        return Some(Cut {
            head: text.floor_char_boundary(bytes_of(tokenizer, &head[..head_tokens])),
            tail: text.ceil_char_boundary(
                text.len() - bytes_of(tokenizer, &tail[tail.len() - tail_tokens..]),
            ),
            original: Tokens { number: original, exact: false },
            removed: Tokens {
                number: round_to_two_digits(original.saturating_sub(max_tokens)),
                exact: false,
            },
        });
    }
}

/// Tokens for the head and the tail.
fn halves(max_tokens: usize) -> (usize, usize) {
    (max_tokens / 2, max_tokens - max_tokens / 2)
}

fn bytes_of(tokenizer: &Tokenizer, tokens: &[u32]) -> usize {
    tokens.iter().map(|token| tokenizer.bpe.token_len(*token)).sum()
}

/// An estimate has no more than two digits to show.
fn round_to_two_digits(number: usize) -> usize {
    let unit = 10usize.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    (number + unit / 2) / unit * unit
}

/// Texts up to this size are tokenized whole and counted exactly, which takes 30 ms for most and 200 ms for
/// the worst; of longer ones only the ends are looked at.
const EXACT_BYTES: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[test]
    fn cuts_like_the_reference() {
        let words: Vec<String> = (0..100).map(|n| format!("w{n}")).collect();
        let words = words.join(" ");
        let check = |max, expected: Expect| check(&[&words], max, Counting::FourBytes, expected);
        check(
            98,
            expect![[
                "- w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15 w16 w17 w18 w19 w20 w21 w22 w23 w24 w25 w26 w27 w28 w29 w30 w31 w32 w33 w34 w35 w36 w37 w38 w39 w40 w41 w42 w43 w44 w45 w46 w47 w48 w49 w50 w51 w52 w53 w54 w55 w56 w57 w58 w59 w60 w61 w62 w63 w64 w65 w66 w67 w68 w69 w70 w71 w72 w73 w74 w75 w76 w77 w78 w79 w80 w81 w82 w83 w84 w85 w86 w87 w88 w89 w90 w91 w92 w93 w94 w95 w96 w97 w98 w99"
            ]],
        );
        check(
            10,
            expect![[r#"
            - Warning: truncated output (original token count: 98)
            Total output lines: 1

            w0 w1 w2 w3 w4 w5 w6…88 tokens truncated… w95 w96 w97 w98 w99"#]],
        );
        check(
            2,
            expect![[r#"
            - Warning: truncated output (original token count: 98)
            Total output lines: 1

            w0 w…96 tokens truncated… w99"#]],
        );
        check(
            0,
            expect![[r#"
            - Warning: truncated output (original token count: 98)
            Total output lines: 1

            …98 tokens truncated…"#]],
        );
    }

    #[test]
    fn texts_are_cut_as_one() {
        let letters = ["a b c d e f g h", "i j k l m n o p", "q r s t u v w x"];
        check(
            &letters,
            10,
            Counting::FourBytes,
            expect![[r#"
                - Warning: truncated output (original token count: 12)
                Total output lines: 3

                a b c d e f g h
                i j …2 tokens truncated… o p
                q r s t u v w x"#]],
        );
        check(
            &letters,
            12,
            Counting::FourBytes,
            expect![[r#"
                - a b c d e f g h
                - i j k l m n o p
                - q r s t u v w x"#]],
        );
    }

    #[test]
    fn cuts_between_characters() {
        check(
            &[&"é😀".repeat(100)],
            20,
            Counting::FourBytes,
            expect![[r#"
                - Warning: truncated output (original token count: 150)
                Total output lines: 1

                é😀é😀é😀é😀é😀é😀é…130 tokens truncated…😀é😀é😀é😀é😀é😀é😀"#]],
        );
        for counting in [Counting::FourBytes, Counting::O200k] {
            for max in 0..40 {
                truncate(vec![ContentItem::text("👩‍👩‍👧é漢\u{301}".repeat(9))], max, counting);
            }
        }
    }

    #[test]
    fn nothing_and_empty_text_fit_into_nothing() {
        for counting in [Counting::FourBytes, Counting::O200k] {
            check(&[], 0, counting, expect![""]);
            check(&[""], 0, counting, expect!["- "]);
        }
    }

    #[test]
    fn images_stay_and_texts_keep_their_places() {
        check(
            &[&"a".repeat(60), IMAGE, &"z".repeat(300), "y"],
            20,
            Counting::FourBytes,
            expect![[r#"
                - aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
                image
                - zzzzzzzzzz…70 tokens truncated…zzzzzzzzzz
                - [omitted 1 text items ...]"#]],
        );
        check(
            &[IMAGE, "", "a"],
            0,
            Counting::FourBytes,
            expect![[r#"
                image
                - [omitted 1 text items ...]"#]],
        );
    }

    #[test]
    fn audio_counts_and_is_left_out_whole() {
        let long = "data:audio/wav;base64,".to_owned() + &"A".repeat(4000);
        check(
            &[&long, &"a".repeat(200), "b", &long, "c"],
            10,
            Counting::FourBytes,
            expect![[r#"
                - aaaaaaaaaaaaaaaaaaaa…40 tokens truncated…aaaaaaaaaaaaaaaaaaaa
                - [omitted 2 text items ...]
                - [omitted 2 audio items ...]"#]],
        );
        check(
            &["data:audio/wav;base64,AAAA", &"q".repeat(300)],
            20,
            Counting::FourBytes,
            expect![[r#"
                audio
                - qqqqqqqqqqqqqqqqqqqqqqqqqq…62 tokens truncated…qqqqqqqqqqqqqqqqqqqqqqqqqq"#]],
        );
    }

    #[test]
    fn counts_real_tokens() {
        check(
            &["The quick brown fox jumps over the lazy dog, then sleeps until noon."],
            6,
            Counting::O200k,
            expect![[r#"
                - Warning: truncated output (original token count: 15)
                Total output lines: 1

                The quick brown…9 tokens truncated… until noon."#]],
        );
        // Known counts of o200k_base, as OpenAI's own tokenizer gives them.
        for (text, tokens) in [
            ("tiktoken is great!", 6),
            ("antidisestablishmentarianism", 6),
            ("2 + 2 = 4", 7),
            ("お誕生日おめでとう", 8),
        ] {
            let Measure::Fits { tokens: counted } = measure_o200k(text, 100) else { panic!() };
            assert_eq!(counted, tokens, "{text}");
        }
    }

    #[test]
    fn long_texts_are_cut_by_their_ends() {
        let mut long = String::new();
        for n in 0..300_000 {
            long.push_str(&format!("line {n}\n"));
        }
        let cut = truncate(vec![ContentItem::text(long)], 20, Counting::O200k);
        let [ContentItem::InputText { text }] = cut.as_slice() else { panic!("{cut:?}") };
        expect![[r#"
            Warning: truncated output (original token count: about 1600000)
            Total output lines: 300000

            line 0
            line 1
            line …about 1600000 tokens truncated…line 299998
            line 299999
        "#]]
        .assert_eq(text);
    }

    #[test]
    fn long_tokens_do_not_mislead() {
        // A hundred spaces are a token or two: the windows must grow until they hold enough of them.
        let spaces = " ".repeat(4 << 20);
        let cut = truncate(vec![ContentItem::text(spaces.clone())], 1 << 20, Counting::O200k);
        assert_eq!(cut, [ContentItem::text(spaces)]);
    }

    /// Items are given as text; what begins with `data:` is an image or audio. So they are shown, too.
    fn check(items: &[&str], max: usize, counting: Counting, expected: Expect) {
        let items = items
            .iter()
            .map(|item| match *item {
                IMAGE => ContentItem::InputImage { image_url: IMAGE.to_owned(), detail: None },
                audio if audio.starts_with("data:audio") => {
                    ContentItem::InputAudio { audio_url: audio.to_owned() }
                }
                text => ContentItem::text(text),
            })
            .collect();
        let shown: Vec<String> = truncate(items, max, counting)
            .into_iter()
            .map(|item| match item {
                ContentItem::InputText { text } => format!("- {text}"),
                ContentItem::InputImage { .. } => "image".to_owned(),
                ContentItem::InputAudio { .. } => "audio".to_owned(),
            })
            .collect();
        expected.assert_eq(&shown.join("\n"));
    }

    const IMAGE: &str = "data:image/png;base64,AA";
}
