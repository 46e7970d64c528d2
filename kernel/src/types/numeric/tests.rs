use super::Numeric;

fn n(text: &str) -> Numeric {
    Numeric::parse(text).unwrap()
}
