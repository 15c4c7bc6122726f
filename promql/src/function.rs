//! Functions of PromQL that are supported.

/// A function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    /// Function of the samples of a range.
    OverTime(OverTime),
    /// Function of each value by itself.
    Math(fn(f64) -> f64),
    Round,
    Clamp,
    ClampMin,
    ClampMax,
    Absent,
    AbsentOverTime,
    Scalar,
    Vector,
    Time,
    Timestamp,
    Sort,
    SortDesc,
    LabelReplace,
    LabelJoin,
}

impl Function {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        if let Some(of_range) = OverTime::from_name(name) {
            return Some(Self::OverTime(of_range));
        }
        Some(match name {
            "abs" => Self::Math(f64::abs),
            "ceil" => Self::Math(f64::ceil),
            "floor" => Self::Math(f64::floor),
            "exp" => Self::Math(f64::exp),
            "ln" => Self::Math(f64::ln),
            "log2" => Self::Math(f64::log2),
            "log10" => Self::Math(f64::log10),
            "sqrt" => Self::Math(f64::sqrt),
            "sgn" => Self::Math(|value| if value == 0.0 { value } else { value.signum() }),
            "round" => Self::Round,
            "clamp" => Self::Clamp,
            "clamp_min" => Self::ClampMin,
            "clamp_max" => Self::ClampMax,
            "absent" => Self::Absent,
            "absent_over_time" => Self::AbsentOverTime,
            "scalar" => Self::Scalar,
            "vector" => Self::Vector,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "sort" => Self::Sort,
            "sort_desc" => Self::SortDesc,
            "label_replace" => Self::LabelReplace,
            "label_join" => Self::LabelJoin,
            _ => return None,
        })
    }
}

/// A function of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverTime {
    Avg,
    Min,
    Max,
    Sum,
    Count,
    Last,
    First,
    Present,
    Stddev,
    Stdvar,
    Mad,
    Quantile,
    Delta,
    Idelta,
    Deriv,
    PredictLinear,
    Changes,
    Resets,
}

impl OverTime {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "avg_over_time" => Self::Avg,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "last_over_time" => Self::Last,
            "first_over_time" => Self::First,
            "present_over_time" => Self::Present,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "mad_over_time" => Self::Mad,
            "quantile_over_time" => Self::Quantile,
            "delta" => Self::Delta,
            "idelta" => Self::Idelta,
            "deriv" => Self::Deriv,
            "predict_linear" => Self::PredictLinear,
            "changes" => Self::Changes,
            "resets" => Self::Resets,
            _ => return None,
        })
    }
}
