//! `Reading`: how a session's settings read the constants of a statement.

use super::common::plain;
use super::values::info;
use crate::base::Oid;
use crate::session::settings::Kept;
use crate::types::settings::Settings;
use pyo3::prelude::*;

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Reading(Kept);

#[pymethods]
impl Reading {
    #[new]
    #[pyo3(signature = (date_style = "ISO, MDY", time_zone = "UTC", interval_style = "postgres"))]
    fn new(
        py: Python<'_>,
        date_style: &str,
        time_zone: &str,
        interval_style: &str,
    ) -> PyResult<Reading> {
        let mut kept = Kept::default();
        for (name, value) in [
            ("datestyle", date_style),
            ("timezone", time_zone),
            ("intervalstyle", interval_style),
        ] {
            plain(py, kept.set(name, value))?;
        }
        Ok(Reading(kept))
    }

    fn check(&self, py: Python<'_>, oid: u32, text: &str) -> PyResult<()> {
        let input = info(py, Oid(oid))?.input(text, -1, &self.0.settings);
        plain(py, input).map(drop)
    }

    #[pyo3(signature = (oid, text, now = 0))]
    fn settled(&self, py: Python<'_>, oid: u32, text: &str, now: i64) -> PyResult<String> {
        let info = info(py, Oid(oid))?;
        let mut kept = self.0.clone();
        kept.set_now(now);
        kept.begin_transaction();
        let value = plain(py, info.input(text, -1, &kept.settings))?;
        plain(py, info.text(&value, &Settings::default()))
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Reading>()
}
