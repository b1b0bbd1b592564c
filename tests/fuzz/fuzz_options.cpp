// SPDX-License-Identifier: GPL-2.0-or-later
// TCP options: the fast way, which compares words, must say what the generic way
// says of the same bytes.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "xdp/options.h"

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > OPTIONS_MAX) return 0;
    const auto length = static_cast<std::uint32_t>(size & ~std::size_t{3});
    alignas(4) std::uint8_t bytes[64];
    // What lies behind the options is not read as one.
    std::memset(bytes, 0x03, sizeof bytes);
    if (length) std::memcpy(bytes, data, length);

    options generic{};
    options_any(data, data + size, length, &generic);
    // of which not all are there
    options cut{};
    options_any(data, data + size / 2, length, &cut);
    require((cut.found & ~generic.found) == 0);
    require(generic.wscale <= 14);
    require((generic.found & ~(SW_OPTION_SACK | SW_OPTION_TIMESTAMP | SW_OPTION_WSCALE)) == 0);
    if (!(generic.found & SW_OPTION_TIMESTAMP)) require(generic.tsval == 0 && generic.tsecr == 0);

    options usual{};
    std::uint32_t words[16];
    std::memcpy(words, bytes, sizeof words);
    if (!options_usual(words, length, &usual)) {
        require(usual.found == 0 && usual.mss == 0);
        return 0;
    }
    require(usual.mss == generic.mss);
    require(usual.found == generic.found);
    require(usual.wscale == generic.wscale);
    require(usual.tsval == generic.tsval && usual.tsecr == generic.tsecr);
    return 0;
}
