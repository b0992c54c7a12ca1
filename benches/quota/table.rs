//! Medians, bars and markdown.

/// A figure against its bar; less is better, always.
pub struct Judged {
    what: String,
    bar: f64,
    measured: f64,
    unit: &'static str,
}

impl Judged {
    pub fn new(what: impl Into<String>, bar: f64, measured: f64, unit: &'static str) -> Self {
        Judged { what: what.into(), bar, measured, unit }
    }

    pub fn is_held(&self) -> bool {
        self.measured <= self.bar
    }

    fn verdict(&self) -> String {
        if self.is_held() { "held".into() } else { format!("missed by {}", self.say(self.measured - self.bar)) }
    }

    fn say(&self, value: f64) -> String {
        format!("{} {}", digits(value), self.unit).trim_end().to_owned()
    }

    pub fn table(all: &[Judged]) -> String {
        let rows =
            all.iter().map(|one| vec![one.what.clone(), format!("≤ {}", one.say(one.bar)), one.say(one.measured), one.verdict()]);
        table(&["what", "bar", "measured", ""], rows)
    }
}

pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    rows.into_iter().fold(format!("{}{rule}", line(&head)), |text, row| text + &line(&row))
}

/// As many digits as say something.
pub fn digits(value: f64) -> String {
    match value.abs() {
        v if v < 10.0 && v.fract() != 0.0 => format!("{value:.3}"),
        v if v < 100.0 && v.fract() != 0.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// KiB as MiB.
pub fn kib(value: f64) -> f64 {
    value / 1024.0
}
