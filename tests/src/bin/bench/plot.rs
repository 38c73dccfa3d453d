//! Lines over two logarithmic axes, as an SVG that needs nothing else.

use std::fmt::Write as _;

use crate::stats::Spread;

/// A plot to be drawn. What is at 0 on the x axis stands one step to the left of the lowest other level.
pub(crate) struct Plot<'a> {
    pub(crate) title: String,
    pub(crate) x_title: &'a str,
    pub(crate) y_title: &'a str,
    /// A name, and x with the lowest, middle and highest y.
    pub(crate) lines: Vec<(&'static str, Vec<(f64, Spread)>)>,
}

impl Plot<'_> {
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let (mut xs, low, high) =
            points().fold((Vec::new(), f64::MAX, f64::MIN), |(mut xs, low, high), (x, y)| {
                xs.push(*x);
                (xs, low.min(y.min), high.max(y.max))
            });
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        let x = Scale::of_levels(&xs, (LEFT, WIDTH - RIGHT));
        let y = Scale::of_decades((low, high), (HEIGHT - BOTTOM, TOP));
        let mut out = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#24292f">
<rect width="100%" height="100%" rx="6" fill="#ffffff"/>
<text x="{LEFT}" y="24" font-size="14" font-weight="600">{}</text>
<text x="{}" y="{}" text-anchor="middle">{}</text>
<text transform="translate(18 {}) rotate(-90)" text-anchor="middle">{}</text>
"##,
            escaped(&self.title),
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 12.0,
            escaped(self.x_title),
            (TOP + HEIGHT - BOTTOM) / 2.0,
            escaped(self.y_title),
        );
        for tick in y.ticks() {
            let at = y.at(tick);
            let _ = writeln!(
                out,
                r##"<path d="M{LEFT} {at:.1}H{}" stroke="#d8dee4"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"##,
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                plain(tick),
            );
        }
        for level in &xs {
            let at = x.at(*level);
            let _ = writeln!(
                out,
                r##"<path d="M{at:.1} {}v5" stroke="#57606a"/><text x="{at:.1}" y="{}" text-anchor="middle">{}</text>"##,
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM + 19.0,
                plain(*level),
            );
        }
        let axis = HEIGHT - BOTTOM;
        let _ = writeln!(out, r##"<path d="M{LEFT} {axis}H{}" stroke="#57606a"/>"##, WIDTH - RIGHT);
        let labels = self.labels(&y);
        for (((name, points), color), label) in self.lines.iter().zip(COLORS).zip(labels) {
            let mut path = String::new();
            let mut marks = String::new();
            for (index, (level, spread)) in points.iter().enumerate() {
                let (px, py) = (x.at(*level), y.at(spread.median));
                let _ = write!(path, "{}{px:.1} {py:.1}", if index == 0 { 'M' } else { 'L' });
                let (top, bottom) = (y.at(spread.max), y.at(spread.min));
                let _ = write!(
                    marks,
                    r#"<path d="M{px:.1} {top:.1}V{bottom:.1}"/><circle cx="{px:.1}" cy="{py:.1}" r="3" fill="{color}"/>"#
                );
            }
            let _ = writeln!(
                out,
                r#"<g fill="none" stroke="{color}" stroke-width="2"><path d="{path}"/>{marks}</g>"#
            );
            if let Some((level, _)) = points.last() {
                let at = x.at(*level) + 10.0;
                let _ = writeln!(
                    out,
                    r#"<text x="{at:.1}" y="{:.1}" fill="{color}">{name}</text>"#,
                    label + 4.0,
                );
            }
        }
        out.push_str("</svg>\n");
        out
    }

    /// Where the lines' names stand: at their ends, and a line's height from each other.
    fn labels(&self, y: &Scale) -> Vec<f64> {
        let end = |points: &Vec<(f64, Spread)>| points.last().map_or(TOP, |(_, s)| y.at(s.median));
        let mut order: Vec<(usize, f64)> =
            self.lines.iter().map(|(_, points)| end(points)).enumerate().collect();
        order.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let mut labels = vec![0.0; order.len()];
        let mut free = f64::MIN;
        for (line, at) in order {
            labels[line] = at.max(free);
            free = labels[line] + 15.0;
        }
        labels
    }
}

/// From a value to a place on the page, by its logarithm.
struct Scale {
    /// Logarithms at the two ends.
    from: f64,
    to: f64,
    places: (f64, f64),
    /// What 0 is taken for.
    zero: f64,
}

impl Scale {
    fn of_levels(levels: &[f64], places: (f64, f64)) -> Scale {
        let above: Vec<f64> = levels.iter().copied().filter(|level| *level > 0.0).collect();
        let lowest = above.first().copied().unwrap_or(1.0);
        let zero = lowest / above.get(1).map_or(10.0, |second| second / lowest);
        let from = if levels.first() == Some(&0.0) { zero } else { lowest };
        let to = above.last().copied().unwrap_or(10.0);
        Scale { from: from.log10(), to: to.log10(), places, zero }
    }

    /// Whole steps of 1, 2 and 5 around what there is.
    fn of_decades((low, high): (f64, f64), places: (f64, f64)) -> Scale {
        let steps = steps();
        let from = steps.iter().rev().find(|step| **step <= low).copied().unwrap_or(low);
        let to = steps.iter().find(|step| **step >= high).copied().unwrap_or(high);
        Scale { from: from.log10(), to: to.log10(), places, zero: from }
    }

    fn at(&self, value: f64) -> f64 {
        let value = if value > 0.0 { value } else { self.zero };
        let share = (value.log10() - self.from) / (self.to - self.from);
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    fn ticks(&self) -> Vec<f64> {
        let within = |step: &f64| (self.from - 1e-9..=self.to + 1e-9).contains(&step.log10());
        let all: Vec<f64> = steps().into_iter().filter(within).collect();
        let decades: Vec<f64> =
            all.iter().copied().filter(|step| step.log10().fract().abs() < 1e-9).collect();
        if decades.len() > 3 { decades } else { all }
    }
}

fn steps() -> Vec<f64> {
    (-6..9).flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(decade))).collect()
}

fn plain(value: f64) -> String {
    // Without what `1e-3 * 5` leaves in the last places.
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const COLORS: [&str; 4] = ["#0969da", "#1a7f37", "#bc4c00", "#6e7781"];

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 58.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_are_equally_far_from_each_other_and_zero_has_a_place() {
        let x = Scale::of_levels(&[0.0, 1.0, 10.0, 100.0], (0.0, 300.0));
        assert_eq!(
            [0.0, 1.0, 10.0, 100.0].map(|level| x.at(level).round()),
            [0.0, 100.0, 200.0, 300.0]
        );
        let y = Scale::of_decades((0.3, 70.0), (0.0, 100.0));
        assert_eq!(y.ticks(), [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(y.at(100.0), 100.0);
    }

    #[test]
    fn numbers_are_as_people_write_them() {
        assert_eq!([0.001, 0.5, 20.0, 5000.0].map(plain), ["0.001", "0.5", "20", "5000"]);
    }
}
