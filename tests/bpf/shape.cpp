// SPDX-License-Identifier: GPL-2.0-or-later
#include "shape.h"

#include <algorithm>
#include <array>

#include "option.h"

namespace synward::bpf_test {

namespace {

constexpr unsigned kEnd = 0, kNop = 1, kMss = 2, kWscale = 3, kSack = 4, kTimestamp = 8;

// Kinds in their order; each with the one length that it may have.
using Kinds = std::vector<unsigned>;

const std::array<Kinds, 7> kUsual = {{
    {},
    {kMss},
    {kMss, kSack, kTimestamp, kNop, kWscale},                    // Linux
    {kMss, kNop, kNop, kSack, kNop, kWscale},                    // Linux without timestamps
    {kMss, kNop, kWscale, kNop, kNop, kSack},                    // Windows
    {kMss, kNop, kWscale, kSack, kTimestamp},                    // FreeBSD
    {kMss, kNop, kWscale, kNop, kNop, kTimestamp, kSack, kEnd},  // macOS, iOS; a byte of padding
}};

unsigned length_of(unsigned kind) {
    switch (kind) {
        case kMss:
            return 4;
        case kWscale:
            return 3;
        case kSack:
            return 2;
        case kTimestamp:
            return 10;
        default:
            return 1;
    }
}

bool has_layout(View options, const Kinds& kinds) {
    std::size_t at = 0;
    for (const unsigned kind : kinds) {
        const unsigned length = length_of(kind);
        if (at + length > options.size() || options[at] != kind) return false;
        if (length > 1 && options[at + 1] != length) return false;
        at += length;
    }
    // Nothing follows but what fills up a word behind the end.
    return (at + 3) / 4 * 4 == options.size() && (at == options.size() || kinds.back() == kEnd);
}

}  // namespace

bool is_usual(View options) {
    return std::any_of(kUsual.begin(), kUsual.end(),
                       [options](const Kinds& kinds) { return has_layout(options, kinds); });
}

sw_shape shape_of(const Segment& syn) {
    sw_shape shape{};
    View left = syn.options;
    while (!left.empty() && left[0] != kEnd) {
        // Also the one by whose length the list ends.
        shape.layout = shape.layout << 8 | left[0];
        if (left[0] == kNop) {
            left = left.subspan(1);
            continue;
        }
        if (left.size() < 2 || left[1] < 2 || left[1] > left.size()) break;
        left = left.subspan(left[1]);
    }
    shape.header = static_cast<__u8>(20 + syn.options.size());
    for (const unsigned start : {255u, 128u, 64u, 32u})
        if (syn.ttl <= start) shape.hops = static_cast<__u8>(start);
    const auto shift = read_options(syn.options).wscale;
    shape.wscale = static_cast<__u8>(shift.value_or(SW_SHAPE_NO_WSCALE));
    shape.family = syn.v6 ? SW_IPV6 : SW_IPV4;
    return shape;
}

}  // namespace synward::bpf_test
