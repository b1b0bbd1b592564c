// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/escalation/ring.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace synward {
namespace {

constexpr unsigned most_batch = 4096;

tl::unexpected<Error> fail_open(int error, const std::string& device) {
    switch (error) {
        case ENOENT:
        case ENXIO:
        case ENODEV:
            return fail(ErrorCode::missing, fmt::format("the kernel module synward is not loaded ({} is not "
                                                        "there): run 'modprobe synward', or use nfqueue",
                                                        device));
        case EPERM:
        case EACCES:
            return fail(
                ErrorCode::privilege,
                fmt::format(
                    "may not open {}: run it as root (it needs CAP_NET_ADMIN in the network namespace)",
                    device));
        default:
            return fail_errno(error, fmt::format("cannot open {}", device));
    }
}

tl::unexpected<Error> fail_setup(int error, const RingOptions& options) {
    switch (error) {
        case EPROTO:
        case ENOTTY:
            return fail(
                ErrorCode::mismatch,
                fmt::format("{} speaks another version of the ring's protocol than {}: install module and "
                            "daemon of one release, then 'rmmod synward; modprobe synward'",
                            options.device, SW_RING_ABI));
        case EBUSY:
            return fail(
                ErrorCode::busy,
                fmt::format("ring {} of {} has a reader already, or other rings of this network namespace "
                            "were set up with another number or spread: stop the other synwardd",
                            options.ring, options.rings));
        case EINVAL:
            return fail(
                ErrorCode::usage,
                fmt::format("the module refuses these settings of the ring: ring {} of {}, {} slots ({} to "
                            "{}, a power of two), {} bytes a frame ({} to {}, a power of two), watermark {}, "
                            "timer {} us, deadline {} ms (1 to {})",
                            options.ring, options.rings, options.slots, SW_RING_SLOTS_MIN, SW_RING_SLOTS_MAX,
                            options.frame_bytes, SW_FRAME_BYTES_MIN, SW_FRAME_BYTES_MAX, options.watermark,
                            options.timer_us, options.deadline_ms, SW_DEADLINE_MS_MAX));
        case ENOBUFS:
            return fail(
                ErrorCode::usage,
                fmt::format("a ring of {} slots of {} bytes that holds packets for {} ms is more than "
                            "this network namespace may have: take less, or raise slots, memory or "
                            "deadline_ms in /sys/module/synward/parameters",
                            options.slots, options.frame_bytes, options.deadline_ms));
        default:
            return fail_errno(error, fmt::format("cannot set up a ring of {}", options.device));
    }
}

}  // namespace

Result<Mapping> Mapping::of(int fd, std::size_t bytes) {
    void* address = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) return fail_errno(errno, fmt::format("cannot map the ring's {} bytes", bytes));
    return Mapping(address, bytes);
}

Mapping::~Mapping() {
    if (address_) munmap(address_, bytes_);
}

Result<std::unique_ptr<RingTransport>> RingTransport::open(const RingOptions& options) {
    Descriptor fd(::open(options.device.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) return fail_open(errno, options.device);
    sw_ring_setup setup{.abi = SW_RING_ABI,
                        .ring = options.ring,
                        .rings = options.rings,
                        .mode = static_cast<__u8>(options.mode),
                        .fanout = static_cast<__u8>(options.fanout),
                        .fail = static_cast<__u8>(options.fail),
                        .slots = options.slots,
                        .frame_bytes = options.frame_bytes,
                        .watermark = std::min(options.watermark, options.slots),
                        .timer_us = options.timer_us,
                        .deadline_ms = options.deadline_ms,
                        .bytes = options.bytes};
    if (ioctl(fd.get(), SW_RING_SETUP, &setup)) return fail_setup(errno, options);
    auto map = Mapping::of(fd.get(), setup.map_bytes);
    if (!map) return tl::unexpected(map.error());
    return over(std::move(fd), std::move(*map), options);
}

Result<std::unique_ptr<RingTransport>> RingTransport::over(Descriptor fd, Mapping map,
                                                           const RingOptions& options) {
    if (options.batch < 1 || options.batch > most_batch)
        return fail(ErrorCode::usage,
                    fmt::format("a batch of {} frames: it must be 1 to {}", options.batch, most_batch));
    sw_ring_view view;
    if (sw_ring_check(&view, map.address(), map.bytes()))
        return fail(ErrorCode::mismatch, fmt::format("the ring's memory does not have the form of version "
                                                     "{}: install module and daemon of one release",
                                                     SW_RING_ABI));
    return std::unique_ptr<RingTransport>(new RingTransport(std::move(fd), std::move(map), view, options));
}

RingTransport::RingTransport(Descriptor fd, Mapping map, const sw_ring_view& view, const RingOptions& options)
    : map_(std::move(map)),
      fd_(std::move(fd)),
      view_(view),
      copy_(options.mode == SW_RING_COPY),
      next_(header().tail),
      events_(options.batch),
      verdicts_(options.batch) {}

Result<std::span<const FlowEvent>> RingTransport::receive() {
    const std::uint64_t head = sw_ring_head(&view_);
    const std::uint64_t waiting = head - next_;
    if (waiting == 0 || waiting > std::uint64_t{1} << 63) return std::span<const FlowEvent>{};
    if (waiting > view_.slots) {
        // Deadlines passed while nobody read: those frames hold other packets by now.
        counters_.torn.add(waiting - view_.slots);
        next_ = head - view_.slots;
    }
    FlowEvent* to = events_.data();
    const FlowEvent* const end = to + events_.size();
    for (; next_ != head && to != end; ++next_) {
        if (read_frame(view_, next_, *to))
            ++to;
        else
            counters_.torn.add();
    }
    const auto count = static_cast<std::size_t>(to - events_.data());
    if (count == 0) return std::span<const FlowEvent>{};
    counters_.received.add(count);
    counters_.batches.add();
    if (copy_) {
        verdicts_[0] = ring_verdict({.id = events_[count - 1].id, .kind = SW_VERDICT_SEEN});
        if (auto written = write_verdicts(1); !written) return tl::unexpected(written.error());
        for (std::size_t i = 0; i < count; ++i) events_[i].id = 0;
    }
    return std::span<const FlowEvent>(events_.data(), count);
}

Result<void> RingTransport::send(std::span<const Verdict> verdicts) {
    while (!verdicts.empty()) {
        const auto part = verdicts.first(std::min(verdicts.size(), verdicts_.size()));
        verdicts = verdicts.subspan(part.size());
        sw_verdict* to = verdicts_.data();
        for (const Verdict& verdict : part)
            if (verdict.id) *to++ = ring_verdict(verdict);  // 0: of an event that nobody waits for
        const auto count = static_cast<std::size_t>(to - verdicts_.data());
        if (count == 0) continue;
        if (auto written = write_verdicts(count); !written) return written;
        counters_.verdicts.add(count);
    }
    return {};
}

Result<void> RingTransport::write_verdicts(std::size_t count) {
    const std::size_t bytes = count * sizeof(sw_verdict);
    for (;;) {
        counters_.system_calls.add();
        const ssize_t written = write(fd_.get(), verdicts_.data(), bytes);
        if (written == static_cast<ssize_t>(bytes)) return {};
        if (written >= 0)
            return fail(ErrorCode::system,
                        fmt::format("the ring took {} of {} bytes of verdicts", written, bytes));
        if (errno != EINTR) return fail_errno(errno, "cannot write verdicts to the ring");
    }
}

TransportStats RingTransport::stats() const {
    TransportStats stats = counters_.stats();
    stats.lost = __atomic_load_n(&header().lost, __ATOMIC_RELAXED);
    return stats;
}

}  // namespace synward
