//! The Python face of the kernel: `sixfold.kernel._kernel`. The only place that names pyo3.

use pyo3::prelude::*;

#[pymodule]
fn _kernel(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
