//! Validation and translation of kernels; the one home of naga.
//!
//! [`validate`] is the promise of this crate: what it accepts, wgpu accepts. [`translate`] shows what a
//! driver is given, with the checks left out that sessions leave out too.

use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use crate::kernel::{Binding, Kernel};

/// A shading language that a driver takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The Metal shading language, as text.
    Msl,
    /// SPIR-V, as words.
    Spirv,
    /// The high-level shading language, as text.
    Hlsl,
}

/// A kernel in another language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Translation {
    /// Source text.
    Text(String),
    /// Binary words.
    Words(Vec<u32>),
}

/// Why a kernel is not valid; always a defect of the schedule that made it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// The text is not WGSL.
    #[error("kernel `{kernel}` is not WGSL: {message}")]
    Syntax {
        /// The kernel's name.
        kernel: String,
        /// What the parser says, with the place.
        message: String,
    },
    /// The text is WGSL, but breaks a rule of it.
    #[error("kernel `{kernel}` is not valid: {message}")]
    Rule {
        /// The kernel's name.
        kernel: String,
        /// What the validator says.
        message: String,
    },
    /// The text binds or declares something else than the kernel says.
    #[error("kernel `{kernel}` does not match its text: {message}")]
    Frame {
        /// The kernel's name.
        kernel: String,
        /// What differs.
        message: String,
    },
    /// The text cannot be translated.
    #[error("kernel `{kernel}` does not translate: {message}")]
    Target {
        /// The kernel's name.
        kernel: String,
        /// What the translator says.
        message: String,
    },
}

/// Checks that a kernel is valid WGSL and that its frame (bindings, parameters, workgroup) is what it says.
///
/// # Errors
/// If it is not, by our fault.
pub fn validate(kernel: &Kernel) -> Result<(), ValidateError> {
    let (module, _) = check(kernel)?;
    let frame = |message: String| ValidateError::Frame { kernel: kernel.name.clone(), message };
    let [entry] = module.entry_points.as_slice() else {
        return Err(frame(format!("{} entry points", module.entry_points.len())));
    };
    if entry.name != "main" || entry.workgroup_size != kernel.workgroup {
        return Err(frame(format!("entry `{}` of {:?}", entry.name, entry.workgroup_size)));
    }
    if !kernel.params.len().is_multiple_of(4) {
        return Err(frame(format!("{} parameter words", kernel.params.len())));
    }
    let mut found = vec![false; kernel.bindings.len() + 1];
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        let number = binding.binding as usize;
        let uniform = variable.space == naga::AddressSpace::Uniform;
        let expected = match number.checked_sub(1).map(|place| kernel.bindings.get(place)) {
            None | Some(Some(Binding::Host)) => true,
            Some(Some(Binding::Storage)) => false,
            Some(None) => return Err(frame(format!("binding {number} is not listed"))),
        };
        if uniform != expected {
            return Err(frame(format!("binding {number} is of another kind")));
        }
        found[number] = true;
    }
    match found.iter().position(|found| !found) {
        None => Ok(()),
        Some(number) => Err(frame(format!("binding {number} is not declared"))),
    }
}

/// The kernel in the language of a driver.
///
/// # Errors
/// If it is not valid or has no translation, by our fault.
pub fn translate(kernel: &Kernel, target: Target) -> Result<Translation, ValidateError> {
    let (module, info) = check(kernel)?;
    let policy = BoundsCheckPolicy::Unchecked;
    let bounds_check_policies =
        BoundsCheckPolicies { index: policy, buffer: policy, image_load: policy, binding_array: policy };
    match target {
        Target::Msl => {
            let options = msl::Options {
                lang_version: (2, 4),
                bounds_check_policies,
                zero_initialize_workgroup_memory: false,
                force_loop_bounding: false,
                ..msl::Options::default()
            };
            msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
                .map(|(text, _)| Translation::Text(text))
                .map_err(|error| failed(kernel, &error.to_string()))
        }
        Target::Spirv => {
            let options = spv::Options {
                lang_version: (1, 3),
                bounds_check_policies,
                zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
                force_loop_bounding: false,
                ..spv::Options::default()
            };
            spv::write_vec(&module, &info, &options, None)
                .map(Translation::Words)
                .map_err(|error| failed(kernel, &error.to_string()))
        }
        Target::Hlsl => {
            let options = hlsl::Options {
                shader_model: if kernel.needs_f16() {
                    hlsl::ShaderModel::V6_2
                } else {
                    hlsl::ShaderModel::V6_0
                },
                restrict_indexing: false,
                zero_initialize_workgroup_memory: false,
                force_loop_bounding: false,
                ..hlsl::Options::default()
            };
            let pipeline = hlsl::PipelineOptions::default();
            let mut text = String::new();
            hlsl::Writer::new(&mut text, &options, &pipeline)
                .write(&module, &info, None)
                .map_err(|error| failed(kernel, &error.to_string()))?;
            Ok(Translation::Text(text))
        }
    }
}

/// The bytes of workgroup memory that a kernel declares.
///
/// # Errors
/// If the kernel is not valid, by our fault.
pub fn workgroup_bytes(kernel: &Kernel) -> Result<u32, ValidateError> {
    let (module, _) = check(kernel)?;
    let shared = module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
    Ok(shared.map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx())).sum())
}

fn check(kernel: &Kernel) -> Result<(naga::Module, ModuleInfo), ValidateError> {
    let module = naga::front::wgsl::parse_str(&kernel.wgsl).map_err(|error| ValidateError::Syntax {
        kernel: kernel.name.clone(),
        message: error.emit_to_string(&kernel.wgsl),
    })?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16)
        .validate(&module)
        .map_err(|error| ValidateError::Rule {
            kernel: kernel.name.clone(),
            message: error.emit_to_string(&kernel.wgsl),
        })?;
    Ok((module, info))
}

fn failed(kernel: &Kernel, message: &str) -> ValidateError {
    ValidateError::Target { kernel: kernel.name.clone(), message: message.to_owned() }
}
