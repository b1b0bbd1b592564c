// SPDX-License-Identifier: GPL-2.0-or-later
// What is known and was decided of a source: `synward why ADDRESS`.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/address.h"
#include "lib/decide/log.h"

namespace synward {

// Plain data. Times are in seconds, those of the past counted back from the question.
struct Explanation {
    struct Proof {  // completed handshakes
        Prefix prefix;
        std::uint32_t handshakes = 0;
        double ago = 0;
        bool fresh = false;  // within the window: it counts
    };
    struct Rate {  // something that is limited
        DeciderId decider = DeciderId::chain;
        unsigned worker = 0;
        std::string what;  // stray, syn, fragment, malformed, handshake
        Prefix prefix;
        double ahead = 0;  // events it is ahead of its rate; may be `burst` at most, more: held back
        Limit limit;
        bool over = false;
        std::optional<double> ticket_ago;  // the last ticket or set entry
    };
    enum class Flows { unread, none, some };

    Address address;
    bool dry_run = false;
    std::vector<Proof> proofs;
    std::vector<Rate> rates;  // those with anything in them
    Flows flows = Flows::unread;
    std::uint64_t asked = 0;           // ns, CLOCK_MONOTONIC; LogRecord.time is of the same clock
    std::vector<LogRecord> decisions;  // the newest first
};

[[nodiscard]] nlohmann::json explanation_json(const Explanation& explanation);
// Lines for people, each ended by a newline.
[[nodiscard]] std::string explanation_text(const Explanation& explanation);

}  // namespace synward
