// SPDX-License-Identifier: GPL-2.0-or-later
// The cookie: what was put in comes out, in its epoch and in the next.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "xdp/cookie.h"

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

struct Input {
    cookie_input in;
    sw_keyring ring;
    std::uint32_t epoch;
    std::uint32_t guess;
    std::uint8_t options;
    std::uint8_t family;
    std::uint16_t mss;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input{};
    if (size < sizeof input) return 0;
    std::memcpy(&input, data, sizeof input);
    const int family = input.family & 1 ? SW_IPV6 : SW_IPV4;
    if (family == SW_IPV4) {
        input.in.source[0] &= 0xffffffff;
        input.in.destination[0] &= 0xffffffff;
    }
    sw_epoch_key key;
    cookie_derive(&key, &input.ring, input.epoch);
    const std::uint64_t hash = cookie_hash(&input.in, &key, family);
    const std::uint32_t isn = cookie_isn(hash, input.options, input.epoch);
    require(cookie_epoch(isn, input.epoch) == input.epoch);
    require(cookie_epoch(isn, input.epoch + 1) == input.epoch);
    require(cookie_epoch(isn, input.epoch + 2) == input.epoch + 2);
    require(cookie_matches(hash, isn));
    require(cookie_options(hash, isn) == input.options);
    // 23 bits decide, whatever the others are
    require(cookie_matches(hash, isn ^ (input.guess & 0x1ff)));
    require(cookie_matches(hash, isn ^ input.guess) == (input.guess >> 9 == 0));

    const std::uint8_t index = cookie_mss_index(input.mss, family);
    require(index <= 3);
    const std::uint16_t mss = cookie_mss(static_cast<std::uint8_t>(index << COOKIE_MSS_SHIFT), family);
    // never more than the client can take, but for the smallest entry
    require(mss <= input.mss || index == 0);
    return 0;
}
