// SPDX-License-Identifier: GPL-2.0-or-later
#include "option.h"

#include <algorithm>

namespace synward::bpf_test {

namespace {
constexpr unsigned kEnd = 0, kNop = 1, kMss = 2, kWscale = 3, kSack = 4, kTimestamp = 8;
}

Bytes raw_option(unsigned kind, unsigned length, View body) {
    Bytes result;
    put8(result, kind);
    put8(result, length);
    append(result, body);
    return result;
}

Bytes mss(unsigned value) {
    Bytes body;
    put16(body, value);
    return raw_option(kMss, 4, body);
}

Bytes wscale(unsigned shift) {
    Bytes body;
    put8(body, shift);
    return raw_option(kWscale, 3, body);
}

Bytes sack_permitted() {
    return raw_option(kSack, 2, {});
}

Bytes timestamp(std::uint32_t value, std::uint32_t echo) {
    Bytes body;
    put32(body, value);
    put32(body, echo);
    return raw_option(kTimestamp, 10, body);
}

Bytes nop() {
    return {kNop};
}

Bytes end_of_options() {
    return {kEnd};
}

Bytes options(std::initializer_list<Bytes> list) {
    Bytes result;
    for (const auto& option : list) append(result, option);
    while (result.size() % 4) put8(result, kEnd);
    return result;
}

Bytes linux_syn_options(std::uint32_t value) {
    return options({mss(1460), sack_permitted(), timestamp(value), nop(), wscale(7)});
}

Bytes windows_syn_options() {
    return options({mss(1460), nop(), wscale(8), nop(), nop(), sack_permitted()});
}

Options read_options(View data) {
    Options found;
    while (!data.empty()) {
        unsigned kind = data[0];
        if (kind == kEnd) break;
        if (kind == kNop) {
            data = data.subspan(1);
            continue;
        }
        if (data.size() < 2) break;
        unsigned length = data[1];
        if (length < 2 || length > data.size()) break;
        View body = data.subspan(2, length - 2);
        if (kind == kMss && length == 4 && get16(body, 0)) found.mss = get16(body, 0);
        if (kind == kWscale && length == 3) found.wscale = std::min<unsigned>(body[0], 14);
        if (kind == kSack && length == 2) found.sack = true;
        if (kind == kTimestamp && length == 10) found.timestamp = Timestamp{get32(body, 0), get32(body, 4)};
        data = data.subspan(length);
    }
    return found;
}

}  // namespace synward::bpf_test
