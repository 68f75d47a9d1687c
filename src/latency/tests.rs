use super::*;
use crate::clock::SimulatedClock;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Equal within the histogram's precision.
fn close(got: Option<Duration>, expected: Duration) -> bool {
    let got = got.expect("there are samples").as_secs_f64();
    (got - expected.as_secs_f64()).abs() <= expected.as_secs_f64() * 2e-3
}

#[test]
fn before_the_first_sample_nothing_is_known() {
    let histogram = LatencyHistogram::new();
    assert_eq!(histogram.count(), 0);
    assert_eq!([histogram.min(), histogram.max(), histogram.mean(), histogram.quantile(0.5)], [None; 4]);
}

#[test]
fn microseconds_are_resolved() {
    let mut histogram = LatencyHistogram::new();
    for us in 1..=100 {
        histogram.record(Duration::from_micros(us));
    }
    assert!(close(histogram.quantile(0.5), Duration::from_micros(50)));
    assert!(close(histogram.quantile(0.99), Duration::from_micros(99)));
    assert!(close(histogram.mean(), Duration::from_nanos(50_500)));
}

#[test]
fn the_maximum_is_exact_even_beyond_the_range() {
    let mut histogram = LatencyHistogram::new();
    histogram.record(Duration::from_nanos(1_234_567));
    histogram.record(Duration::from_secs(7201));
    assert_eq!(histogram.max(), Some(Duration::from_secs(7201)));
    assert_eq!(histogram.min(), Some(Duration::from_nanos(1_234_567)));
    assert_eq!(histogram.quantile(0.0), histogram.min());
}

#[test]
fn no_quantile_exceeds_the_maximum() {
    let mut histogram = LatencyHistogram::new();
    histogram.record(Duration::from_nanos(10_000_001));
    assert_eq!(histogram.quantile(1.0), Some(Duration::from_nanos(10_000_001)));
}

#[test]
fn shares_fall_into_the_range_that_holds_them() {
    let mut histogram = LatencyHistogram::new();
    for duration in [ms(1), ms(1), ms(5), ms(50)] {
        histogram.record(duration);
    }
    assert_eq!(histogram.shares_between(&[Duration::ZERO, ms(2), ms(10), ms(20)]), [0.5, 0.25, 0.0]);
    assert!(histogram.shares_between(&[]).is_empty());
}

#[test]
fn a_rising_stretch_counts_every_value_for_as_long_as_it_lasted() {
    let mut histogram = LatencyHistogram::new();
    histogram.record_rising(ms(10), ms(110));
    assert_eq!(histogram.count(), 1);
    assert!(close(histogram.quantile(0.5), ms(60)));
    assert!(close(histogram.quantile(0.9), ms(100)));
    assert!(close(histogram.mean(), ms(60)));
    assert_eq!((histogram.min(), histogram.max()), (Some(ms(10)), Some(ms(110))));
}

#[test]
fn the_age_over_the_deadline_is_exact() {
    let start = SimulatedClock::new().start();
    let mut age = AgeMeter::new(start, Deadline::new(ms(50)).unwrap());
    let mut histogram = LatencyHistogram::new();
    assert_eq!(age.over_deadline_ratio(), None);
    age.delivered(start + ms(10), ms(10), &mut histogram); // 0 → 10
    age.delivered(start + ms(43), ms(10), &mut histogram); // 10 → 43
    age.delivered(start + ms(143), ms(60), &mut histogram); // 10 → 110: 60 ms over
    age.until(start + ms(200), &mut histogram); // 60 → 117: all 57 ms over
    assert!((age.over_deadline_ratio().unwrap() - 117.0 / 200.0).abs() < 1e-12);
    assert_eq!(histogram.max(), Some(ms(117)));
    assert_eq!(histogram.count(), 4);
}

/// The worked example of a camera at 30 frames a second that stalls once for a second, with 10 ms of service.
#[test]
fn a_stall_shows_in_the_age_though_every_delivered_frame_was_fast() {
    let start = SimulatedClock::new().start();
    let mut age = AgeMeter::new(start, Deadline::new(ms(50)).unwrap());
    let mut histogram = LatencyHistogram::new();
    for frame in (0..300).filter(|frame| !(100..130).contains(frame)) {
        age.delivered(start + Duration::from_secs_f64(f64::from(frame) / 30.0) + ms(10), ms(10), &mut histogram);
    }
    age.until(start + Duration::from_secs(10), &mut histogram);
    let ratio = age.over_deadline_ratio().unwrap();
    assert!((ratio - 0.0993).abs() < 5e-4, "{ratio}");
}
